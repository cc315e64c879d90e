# SPDX-License-Identifier: Apache-2.0
# The two interface targets that carry the flags everybody shares.

add_library(build_flags INTERFACE)
target_compile_options(build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-Wconversion>
  $<$<BOOL:${SOCKTALE_WERROR}>:-Werror>)
target_include_directories(build_flags INTERFACE ${PROJECT_SOURCE_DIR})

add_library(sanitizers INTERFACE)
if(SOCKTALE_SANITIZE)
  target_compile_options(sanitizers INTERFACE
    -fsanitize=${SOCKTALE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sanitizers INTERFACE -fsanitize=${SOCKTALE_SANITIZE})
endif()
