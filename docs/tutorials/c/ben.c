/* SPDX-License-Identifier: Apache-2.0 */
#include <err.h>
#include <sos.h>
#include <stdio.h>

int
main(void)
{
    struct sos_options options = {.name = "ben"};
    struct sos_error error;
    struct sos *sos;
    struct sos_mail *mail;

    if (sos_connect(&sos, &options, &error) != SOS_OK)
        errx(1, "%s", error.message);
    while (sos_receive(sos, -1, &mail, &error) == SOS_OK) {
        const char *question = sos_map_text(sos_mail_map(mail), "question");
        printf("%s asks: %s\n", sos_mail_from(mail), question ? question : "nothing");
        fflush(stdout);

        char text[600];
        struct sos_bytes news = {0};
        snprintf(text, sizeof text, "ben works on a %s of %s", sos_mail_type(mail),
                 sos_mail_from(mail));
        sos_text_to_payload(text, &news, NULL);
        sos_publish(sos, "squad:research", NULL, news, NULL, NULL);
        sos_bytes_free(&news);

        struct sos_map *answer = sos_map_new();
        sos_map_put_int(answer, "answer", 8);
        if (sos_mail_reply(mail, "answer", sos_map_payload(answer), &error) == SOS_OK)
            sos_mail_ack(&mail, NULL); /* handled */
        else
            sos_mail_nack(&mail, error.message, -1, NULL); /* it comes again */
        sos_map_free(&answer);
    }
    errx(1, "%s", error.message);
}
