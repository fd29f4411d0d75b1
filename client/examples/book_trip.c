/* Submit the README's saga and wait for its end.  Exit 0 when it committed.
 *
 *     export URD_HOME=/var/lib/urd
 *     book_trip [ACTION]      ACTION pays; card.capture when not given */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/client.h"

static const char *const trip =
    "{ \"saga\": \"book-trip\", \"steps\": ["
    "  {\"name\": \"hotel\",  \"op\": \"Reserve\", \"action\": \"hotel.hold\","
    "   \"compensate\": \"hotel.release\", \"input\": {\"nights\": 2}},"
    "  {\"name\": \"flight\", \"op\": \"Reserve\", \"action\": \"flight.hold\","
    "   \"compensate\": \"flight.release\"},"
    "  {\"name\": \"mail\",   \"op\": \"Send\",    \"action\": \"mail.queue\","
    "   \"compensate\": \"mail.retract\"},"
    "  {\"name\": \"pay\",    \"op\": \"Commit\",  \"action\": \"%s\", \"compensate\": "
    "\"card.refund\","
    "   \"input\": {\"hold\": {\"$from\": \"hotel\", \"$pointer\": \"/id\"}}} ] }";

static urd_err book(struct urd_cx *cx, void *arg)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    char document[2048];
    (void)snprintf(document, sizeof document, trip, (const char *)arg);

    struct urd_client *client;
    urd_err err = urd_client_open(cx, NULL, &client, why);
    if (err != URD_OK) goto fail;

    struct urd_saga_receipt receipt;
    err = urd_client_submit(cx, client, document, NULL, &receipt, why);
    if (err != URD_OK) goto fail_client;
    (void)printf("accepted %s\n", receipt.id);

    enum urd_saga_state end;
    char *json;
    uint64_t deadline_ns = urd_cx_now(cx) + 60 * UINT64_C(1000000000);
    err = urd_client_wait(cx, client, receipt.id, deadline_ns, &end, &json, why);
    if (err != URD_OK) goto fail_client;
    (void)printf("%s\n%s\n", urd_saga_state_name(end), json);
    free(json);
    if (end != URD_SAGA_COMMITTED) err = URD_E_FAILED;

fail_client:
    urd_client_close(cx, client);
fail:
    if (why[0] != '\0') (void)fprintf(stderr, "book_trip: %s: %s\n", urd_err_name(err), why);
    return err;
}

int main(int argc, char **argv)
{
    return urd_client_main(book, argc > 1 ? argv[1] : (void *)"card.capture");
}
