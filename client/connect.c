#include "client/connect.h"

#include <stdio.h>

#include "client/where.h"

void client_warn_shown(void)
{
    (void)fprintf(stderr, "urd: a token given as text shows in the list of processes; @FILE and - "
                          "do not\n");
}

/* The capability that --cap gives, as text; *@ret is NULL when it gives none. */
static urd_err read_cap(struct urd_cx *cx, const struct client_invocation *inv, char **ret,
                        char *errmsg)
{
    const char *given = client_text(inv, "cap", NULL);
    bool shown = false;
    urd_err err = given != NULL ? client_token_text(cx, given, true, ret, &shown, errmsg) : URD_OK;
    if (err == URD_OK && shown) client_warn_shown();
    return err;
}

int client_connected(struct urd_cx *cx, const struct client_invocation *inv,
                     int (*body)(struct urd_cx *cx, const struct client_invocation *inv,
                                 struct urd_client *client))
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *cap = NULL;
    struct urd_client *client;
    urd_err err = read_cap(cx, inv, &cap, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    struct urd_client_options options = { .node = client_text(inv, "node", NULL),
                                          .cap = cap,
                                          .home = client_text(inv, "home", NULL),
                                          .profile = client_text(inv, "profile", NULL),
                                          .timeout_ns = client_number(inv, "timeout", 0) };
    err = urd_client_open(cx, &options, &client, why);
    client_text_wipe(cap);
    if (err != URD_OK) return client_fail(inv, err, why);
    int status = body(cx, inv, client);
    urd_client_close(cx, client);
    return status;
}
