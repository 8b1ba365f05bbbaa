/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/embedded.h - the committed web files, put into the binary by the assembler
 * (embedded.c.in). */
#ifndef SOS_GATEWAY_EMBEDDED_H
#define SOS_GATEWAY_EMBEDDED_H

extern const char embedded_docs_html[], embedded_docs_html_end[];
extern const char embedded_docs_js[], embedded_docs_js_end[];
extern const char embedded_swagger_js[], embedded_swagger_js_end[];
extern const char embedded_swagger_css[], embedded_swagger_css_end[];

#endif
