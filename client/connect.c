#include "client/connect.h"

int client_connected(struct urd_cx *cx, const struct client_invocation *inv,
                     int (*body)(struct urd_cx *cx, const struct client_invocation *inv,
                                 struct urd_client *client))
{
    struct urd_client_options options = { .node = client_text(inv, "node", NULL),
                                          .cap = client_text(inv, "cap", NULL),
                                          .home = client_text(inv, "home", NULL),
                                          .profile = client_text(inv, "profile", NULL),
                                          .timeout_ns = client_number(inv, "timeout", 0) };
    char why[URD_CLIENT_ERRMSG_MAX];
    struct urd_client *client;
    urd_err err = urd_client_open(cx, &options, &client, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    int status = body(cx, inv, client);
    urd_client_close(cx, client);
    return status;
}
