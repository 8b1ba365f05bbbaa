/* SPDX-License-Identifier: Apache-2.0 */
#include <err.h>
#include <signal.h>
#include <sos.h>

static struct sos *sos;

static void
on_request(void *context, struct sos_request *request)
{
    struct sos_map *result = sos_map_new();
    (void)context;
    sos_map_put_int(result, "result", 2 * sos_map_int(sos_request_map(request), "number", 0));
    sos_reply(&request, sos_map_payload(result), NULL);
    sos_map_free(&result);
}

static void
on_signal(int number)
{
    (void)number;
    sos_stop(sos);
}

int
main(void)
{
    struct sos_error error;
    if (sos_connect(&sos, NULL, &error) != SOS_OK)
        errx(1, "%s", error.message);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (sos_serve(sos, NULL, on_request, NULL, &error) != SOS_OK || sos_run(sos, &error) != SOS_OK)
        errx(1, "%s", error.message);
    sos_close(&sos);
}
