/* SPDX-License-Identifier: Apache-2.0 */
/* cli/top_view.h - draws what `sos top` knows: at most screen.height lines (0: all), each at most
 * screen.width columns. */
#ifndef SOS_CLI_TOP_VIEW_H
#define SOS_CLI_TOP_VIEW_H

#include "cli/screen.h"
#include "cli/top_model.h"

/* hint: the last line; NULL: none. Lines end with newlines. */
void top_draw(const struct top_model *model, const struct screen *screen, const char *hint,
              struct buffer *out);
/* One JSON object and a newline. */
void top_json(const struct top_model *model, struct buffer *out);

#endif
