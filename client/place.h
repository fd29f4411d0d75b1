/* client/place.h -- what a node directory or a client profile says: nodes, trust, capability.
 *
 * Private to client/.  Both are read by the node's own code (node/command.h); this is all that the
 * client wants of it. */
#ifndef CLIENT_PLACE_H
#define CLIENT_PLACE_H

#include "client/session.h"

struct client_place {
    struct {
        char name[64];
        char url[256];
    } nodes[CLIENT_NODES_MAX];
    unsigned nodes_count;
    char *ca_pem; /* NULL: none */
    char *cap;    /* a token's text, a secret; NULL: none */
};

/* Errors: URD_E_CONFIG, with a sentence. */
URD_MUST_USE urd_err client_place_of_home(struct urd_cx *cx, const char *dir,
                                          struct client_place *ret, char *errmsg);
URD_MUST_USE urd_err client_place_of_profile(struct urd_cx *cx, const char *path,
                                             struct client_place *ret, char *errmsg);
void client_place_done(struct client_place *place);

#endif
