# SPDX-License-Identifier: Apache-2.0
# Generates the C tables and openapi.json from the contracts and compiles them into a library.
# sos_contracts(sos_kernel contracts/shared.json contracts/memory.json)  -> #include "contracts/memory.h"
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)

function(sos_contracts library)
  set(folder ${CMAKE_BINARY_DIR}/generated/contracts)
  set(generator ${CMAKE_SOURCE_DIR}/kernel/contracts)
  set(inputs "")
  set(outputs ${folder}/all.c ${folder}/openapi.c)
  foreach(file ${ARGN})
    get_filename_component(input ${file} ABSOLUTE)
    get_filename_component(service ${file} NAME_WE)
    list(APPEND inputs ${input})
    if(NOT service STREQUAL "shared")
      list(APPEND outputs ${folder}/${service}.c ${folder}/${service}.h)
    endif()
  endforeach()
  add_custom_command(
    OUTPUT ${outputs} ${folder}/openapi.json
    COMMAND ${Python3_EXECUTABLE} ${generator}/generate.py
      --output ${folder} --version ${PROJECT_VERSION} ${inputs}
    DEPENDS ${inputs} ${generator}/generate.py ${generator}/reader.py ${generator}/emit_c.py
      ${generator}/emit_openapi.py ${CMAKE_SOURCE_DIR}/kernel/status.h ${CMAKE_SOURCE_DIR}/kernel/contract.h
    COMMENT "Generating contracts"
    VERBATIM)
  target_sources(${library} PRIVATE ${outputs})
endfunction()
