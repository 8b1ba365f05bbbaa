/* SPDX-License-Identifier: Apache-2.0 */
/* ask WHOM NUMBER: has a number doubled by an agent or a service. */
#include <err.h>
#include <sos.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main(int argc, char **argv)
{
    struct sos *sos;
    struct sos_error error;
    struct sos_map *number = sos_map_new();
    struct sos_mail *mail = NULL;
    struct sos_bytes reply = {0};
    struct sos_map *result = NULL;
    int status;

    if (argc != 3)
        errx(2, "usage: ask WHOM NUMBER");
    sos_map_put_int(number, "number", atoll(argv[2]));
    if (sos_connect(&sos, NULL, &error) != SOS_OK)
        errx(1, "%s", error.message);

    if (strncmp(argv[1], "service:", 8) == 0) {
        struct sos_call call = {
            .target = argv[1], .type = "double", .payload = sos_map_payload(number)};
        status = sos_call(sos, &call, &reply, &error);
    } else {
        struct sos_message message = {
            .to = argv[1], .type = "double", .payload = sos_map_payload(number)};
        status = sos_ask(sos, &message, 10000, &mail, &error);
    }
    if (status != SOS_OK)
        errx(1, "%s (%s)", error.message, error.word);
    status = sos_map_parse(&result, mail ? sos_mail_payload(mail) : reply, &error);
    if (status != SOS_OK)
        errx(1, "%s", error.message);
    printf("%lld\n", (long long)sos_map_int(result, "result", 0));

    sos_map_free(&result);
    sos_bytes_free(&reply);
    sos_mail_ack(&mail, NULL);
    sos_map_free(&number);
    sos_close(&sos);
}
