# SPDX-License-Identifier: Apache-2.0
# programs/sanitized.c by both compilers and with both sanitizers, whichever compiler builds the rest: gcc's libraries of
# sanitizers are shared ones, clang's are in the program.

foreach(compiler gcc clang)
  find_program(hazards_${compiler} ${compiler})
  if(NOT hazards_${compiler})
    message(STATUS "no ${compiler}: its tests of row 19 will fail")
    continue()
  endif()
  foreach(sanitizer address thread)
    set(program ${hazards_folder}/sanitized_${compiler}_${sanitizer})
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/programs/sanitized.c)
    add_custom_command(OUTPUT ${program}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${hazards_folder}
      COMMAND ${hazards_${compiler}} -std=gnu17 -O1 -g -U_FORTIFY_SOURCE -Wno-use-after-free -Wno-unknown-warning-option
              -fsanitize=${sanitizer} -pthread -I ${PROJECT_SOURCE_DIR} -o ${program} ${source}
      DEPENDS ${source} programs/say.h VERBATIM)
    add_custom_target(hazard_sanitized_${compiler}_${sanitizer} DEPENDS ${program})
    add_dependencies(hazards hazard_sanitized_${compiler}_${sanitizer})
  endforeach()
endforeach()
