/* client/caveats.h -- the caveats that a command's flags ask for, as predicates. */
#ifndef CLIENT_CAVEATS_H
#define CLIENT_CAVEATS_H

#include "client/command.h"

enum { CLIENT_CAVEATS_MAX = 64, CLIENT_CAVEAT_BYTES = 1024 };

/* Large: not for the stack. */
struct client_caveats {
    char texts[CLIENT_CAVEATS_MAX][CLIENT_CAVEAT_BYTES];
    char *list[CLIENT_CAVEATS_MAX];
    unsigned count;
};

/* Read --action, --resource, --expires, --not-before, --uses, --rate, --region, --task, --require.
 * False after a sentence on standard error. */
bool client_caveats_read(struct urd_cx *cx, const struct client_invocation *inv,
                         struct client_caveats *ret);

#endif
