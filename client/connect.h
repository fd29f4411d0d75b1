/* client/connect.h -- what most commands begin and end with: a client made from the common flags.
 */
#ifndef CLIENT_CONNECT_H
#define CLIENT_CONNECT_H

#include "client/client.h"
#include "client/command.h"

/* Open a client as @inv's flags say, run @body with it, close it; answers @body's exit status, or
 * the one that belongs to why it could not be opened. */
int client_connected(struct urd_cx *cx, const struct client_invocation *inv,
                     int (*body)(struct urd_cx *cx, const struct client_invocation *inv,
                                 struct urd_client *client));

/* Say that a token given as text shows in the list of processes. */
void client_warn_shown(void);

#endif
