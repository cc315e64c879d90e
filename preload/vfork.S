/* SPDX-License-Identifier: Apache-2.0
 *
 * vfork, in assembly because it returns twice on one stack: the child runs on in the caller's frame and overwrites
 * whatever lies below it, so by the time the parent returns no C frame of ours would be there any more. As in libc, the
 * return address waits in a register that the kernel keeps; so does the entry time.
 *
 *   socktale_vfork_begin()                  raises the count of living vfork children; returns the entry time, ns
 *   vfork system call                       child: back to the caller with 0
 *   socktale_vfork_returned(result, time)   parent: lowers the count, records the call, sets errno; returns pid or -1
 *
 * Both are in hooks/process.cc.
 */

#if !defined(__x86_64__)
#error "vfork: not written yet for this machine"
#endif

#include <asm/unistd.h>

        .text
        .globl  vfork
        .globl  __vfork
        .type   vfork, @function
        .type   __vfork, @function
        .p2align 4
vfork:
__vfork:
        .cfi_startproc
        endbr64
        subq    $8, %rsp                /* aligns the stack for a call */
        .cfi_adjust_cfa_offset 8
        call    socktale_vfork_begin
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        movq    %rax, %rsi              /* entry time; the kernel changes rax, rcx and r11 alone */
        popq    %rdi                    /* return address: the child's frames will overwrite its place */
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rdi
        movl    $__NR_vfork, %eax
        syscall
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_offset %rip, -8
        testq   %rax, %rax
        jnz     1f

        /* Child. With a shadow stack (which parent and child share, though not its pointer) leave by a jump, as libc
           does, so that the parent still finds its entry. On processors without one rdssp does nothing. */
        xorl    %edx, %edx
        rdsspq  %rdx
        testq   %rdx, %rdx
        jz      2f
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rdi
        jmp     *%rdi
        .cfi_adjust_cfa_offset 8
        .cfi_offset %rip, -8
2:      ret

1:      movq    %rax, %rdi              /* parent: the child's pid, or a negated errno; rsi still holds the entry time */
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    socktale_vfork_returned
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   vfork, .-vfork
        .size   __vfork, .-__vfork

        .section .note.GNU-stack,"",@progbits
