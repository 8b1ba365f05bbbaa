/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/docs.h"

#include "gateway/embedded.h"
#include "kernel/contract.h"

/* Swagger UI sets styles on elements and shows its icons from data: URLs. Calls may go to every
 * door of this machine. */
static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' "
    "data:; "
    "font-src 'self' data:; connect-src 'self' http://localhost:* http://127.0.0.1:*; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static struct text
between(const char *begin, const char *end)
{
    return (struct text){begin, (size_t)(end - begin)};
}

bool
docs_find(struct text path, struct document *document)
{
    const struct {
        const char *path;
        struct document document;
    } rows[] = {
        {"/openapi.json",
         {"application/json", NULL, {contract_openapi_json, contract_openapi_json_size}}},
        {"/docs",
         {"text/html; charset=utf-8", page_policy,
          between(embedded_docs_html, embedded_docs_html_end)}},
        {"/docs/docs.js",
         {"text/javascript; charset=utf-8", NULL, between(embedded_docs_js, embedded_docs_js_end)}},
        {"/docs/swagger-ui-bundle.js",
         {"text/javascript; charset=utf-8", NULL,
          between(embedded_swagger_js, embedded_swagger_js_end)}},
        {"/docs/swagger-ui.css",
         {"text/css; charset=utf-8", NULL,
          between(embedded_swagger_css, embedded_swagger_css_end)}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!text_equal_string(path, rows[i].path))
            continue;
        *document = rows[i].document;
        return true;
    }
    return false;
}
