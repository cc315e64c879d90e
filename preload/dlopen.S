/* SPDX-License-Identifier: Apache-2.0
 *
 * dlopen and dlmopen, in assembly because libc looks at the address it is to return to: that says which library asks,
 * whose own search path (RUNPATH, $ORIGIN) and namespace count. So libc's functions are jumped to, with the stack as it
 * was, by way of
 *
 *   socktale_before_dlopen(file, mode)             what is to be noted of the call; returns libc's function
 *   socktale_before_dlmopen(space, file, mode)     likewise
 *
 * in hooks/loading.cc.
 */

#if !defined(__x86_64__)
#error "dlopen: not written yet for this machine"
#endif

        .text
        .globl  dlopen
        .type   dlopen, @function
        .p2align 4
dlopen:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp                /* aligns the stack for a call */
        .cfi_adjust_cfa_offset 8
        call    socktale_before_dlopen
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   dlopen, .-dlopen

        .globl  dlmopen
        .type   dlmopen, @function
        .p2align 4
dlmopen:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        call    socktale_before_dlmopen
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   dlmopen, .-dlmopen

        .section .note.GNU-stack,"",@progbits
