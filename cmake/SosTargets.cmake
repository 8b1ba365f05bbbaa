# SPDX-License-Identifier: Apache-2.0
# One line per library, service and test.

# sos_library(kernel SOURCES a.c b.c LIBRARIES PkgConfig::SODIUM)  -> target sos_kernel
function(sos_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(sos_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(sos_${name} PUBLIC sos_compile ${ARG_LIBRARIES})
endfunction()

# sos_service(memory SOURCES memory.c index.c LIBRARIES m)  -> target sos_memory, on the actor runtime
function(sos_service name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  sos_library(${name} SOURCES ${ARG_SOURCES} LIBRARIES sos_runtime ${ARG_LIBRARIES})
endfunction()

# sos_test(kernel/test_message LIBRARIES sos_kernel [SOURCES extra.c])  -> tests/unit/kernel/test_message.c
function(sos_test path)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" target ${path})
  add_executable(${target} ${path}.c ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES} PkgConfig::CMOCKA)
  if(SOS_SANITIZE MATCHES "thread" AND NOT path MATCHES "^(kernel|platform|broker/core)/")
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support/tsan_zmq.c)
    target_link_libraries(${target} PRIVATE PkgConfig::ZMQ)
  endif()
  add_test(NAME ${path} COMMAND ${target})
  set_tests_properties(${path} PROPERTIES TIMEOUT 120)
endfunction()

# sos_fuzz(message LIBRARIES sos_kernel)  -> tests/fuzz/fuzz_message.c
function(sos_fuzz name)
  cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
  file(GLOB checks CONFIGURE_DEPENDS ${name}_check.c)
  add_executable(fuzz_${name} fuzz_${name}.c ${checks})
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_LIBRARIES})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
