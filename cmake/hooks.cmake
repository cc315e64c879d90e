# SPDX-License-Identifier: Apache-2.0
# What follows from preload/abi/hooks.def and proto/event.proto for the shim and for those who talk to it. Gives:
#   hook_table            interface target: "preload/abi/hooks_hash.h" with kHooksHash, a hash of the rows
#   field_numbers         interface target: "preload/event_fields.h" with event.proto's numbers (namespace field)
#   SOCKTALE_SHIM_MAP     the shim's version script: the rows' symbols are exported, everything else is local

set(hooks_def ${PROJECT_SOURCE_DIR}/preload/abi/hooks.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${hooks_def})
set(hooks_generated ${PROJECT_BINARY_DIR}/generated/hooks)
set(SOCKTALE_SHIM_MAP ${hooks_generated}/shim.map)

# Rows alone count for the hash: a better comment does not part a collector from its shims.
file(STRINGS ${hooks_def} hook_rows REGEX "^HOOK\\(")
set(hook_exports "")
set(hook_table_text "")
foreach(row IN LISTS hook_rows)
  if(NOT row MATCHES "^HOOK\\(([A-Za-z0-9_]+), *([A-Z0-9_]+)\\)")
    message(FATAL_ERROR "preload/abi/hooks.def: not a row: ${row}")
  endif()
  string(APPEND hook_exports "    ${CMAKE_MATCH_1};\n")
  string(APPEND hook_table_text "${CMAKE_MATCH_1} ${CMAKE_MATCH_2}\n")
endforeach()
string(SHA256 hook_hash "${hook_table_text}")
string(SUBSTRING ${hook_hash} 0 16 hook_hash)

file(CONFIGURE OUTPUT ${SOCKTALE_SHIM_MAP} CONTENT
"/* Generated from preload/abi/hooks.def. Do not edit. */
{
  global:
@hook_exports@  local:
    *;
};
" @ONLY)
file(CONFIGURE OUTPUT ${hooks_generated}/preload/abi/hooks_hash.h CONTENT
"// Generated from preload/abi/hooks.def. Do not edit.

#pragma once

#include <stdint.h>

namespace socktale::abi {

// Hash of the rows of hooks.def: a collector and a shim that differ in it do not understand each other.
inline constexpr uint64_t kHooksHash = 0x@hook_hash@;

}  // namespace socktale::abi
" @ONLY)
add_library(hook_table INTERFACE)
target_include_directories(hook_table INTERFACE ${hooks_generated} ${PROJECT_SOURCE_DIR})

add_executable(protoc-gen-field_numbers ${PROJECT_SOURCE_DIR}/preload/field_numbers/field_numbers_plugin.cc)
target_link_libraries(protoc-gen-field_numbers PRIVATE build_flags protobuf::libprotoc protobuf::libprotobuf)
set_target_properties(protoc-gen-field_numbers PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tools)  # a tool of the build, not a product
file(MAKE_DIRECTORY ${hooks_generated}/preload)
add_custom_command(
  OUTPUT ${hooks_generated}/preload/event_fields.h
  COMMAND protobuf::protoc --plugin=$<TARGET_FILE:protoc-gen-field_numbers>
          --field_numbers_out=${hooks_generated}/preload -I ${PROJECT_SOURCE_DIR}/proto event.proto
  DEPENDS protoc-gen-field_numbers ${PROJECT_SOURCE_DIR}/proto/event.proto
  COMMENT "Field numbers of event.proto"
  VERBATIM)
add_custom_target(event_fields DEPENDS ${hooks_generated}/preload/event_fields.h)
add_library(field_numbers INTERFACE)
target_include_directories(field_numbers INTERFACE ${hooks_generated} ${PROJECT_SOURCE_DIR})
add_dependencies(field_numbers event_fields)
