# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, hardening and sanitizers, in one interface target.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(SOS_CCACHE ccache)
if(SOS_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${SOS_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SOS_CCACHE})
endif()

add_library(sos_compile INTERFACE)
target_include_directories(sos_compile INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(sos_compile INTERFACE _GNU_SOURCE SOS_VERSION="${PROJECT_VERSION}")
target_compile_options(sos_compile INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  -fvisibility=hidden -fno-omit-frame-pointer)

if(SOS_WERROR)
  target_compile_options(sos_compile INTERFACE -Werror)
endif()

if(SOS_SANITIZE)
  target_compile_options(sos_compile INTERFACE -fsanitize=${SOS_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(sos_compile INTERFACE -fsanitize=${SOS_SANITIZE})
endif()

if(SOS_FUZZ)
  target_compile_options(sos_compile INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" OR CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(sos_compile INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  target_link_options(sos_compile INTERFACE -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()
