# SPDX-License-Identifier: Apache-2.0
# Generates the C tables and openapi.json from the contracts and compiles them into a library.
function(sos_contracts library)
endfunction()
