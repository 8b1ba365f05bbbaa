/* SPDX-License-Identifier: Apache-2.0 */
#include <err.h>
#include <sos.h>
#include <stdio.h>

int
main(void)
{
    struct sos_options options = {.name = "ana"};
    struct sos_error error;
    struct sos *sos;
    struct sos_subscription *news;
    struct sos_event *event;
    struct sos_mail *mail;
    struct sos_map *question = sos_map_new();

    sos_map_put_text(question, "question", "How many legs has a spider?");
    if (sos_connect(&sos, &options, &error) != SOS_OK ||
        sos_subscribe(sos, "squad:research", &news, &error) != SOS_OK ||
        sos_send(sos, "agent:ben", "question", sos_map_payload(question), &error) != SOS_OK)
        errx(1, "%s", error.message);
    puts("The question is in ben's inbox, on disk.");
    fflush(stdout);

    if (sos_next_event(news, -1, &event, &error) != SOS_OK)
        errx(1, "%s", error.message);
    printf("On squad:research: %s\n", sos_event_text(event));

    if (sos_receive(sos, -1, &mail, &error) != SOS_OK)
        errx(1, "%s", error.message);
    printf("%s answers: %lld\n", sos_mail_from(mail),
           (long long)sos_map_int(sos_mail_map(mail), "answer", 0));

    sos_mail_ack(&mail, NULL);
    sos_event_free(&event);
    sos_unsubscribe(&news);
    sos_map_free(&question);
    sos_close(&sos);
}
