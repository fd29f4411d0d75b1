#include "client/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/local.h"
#include "client/where.h"
#include "node/command.h"

#define PROFILE_BYTES_MAX (256u << 10)

_Static_assert(sizeof((struct node_place *)0)->nodes[0].name <=
                   sizeof((struct client_place *)0)->nodes[0].name,
               "a node's name fits");
_Static_assert(sizeof((struct node_place *)0)->nodes[0].url <=
                   sizeof((struct client_place *)0)->nodes[0].url,
               "a node's URL fits");

/* Take over what @from says, its first @nodes_max nodes. */
static void take(struct node_place *from, size_t nodes_max, struct client_place *ret)
{
    size_t count = from->nodes_count < nodes_max ? from->nodes_count : nodes_max;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(ret->nodes[i].name, sizeof ret->nodes[i].name, "%s", from->nodes[i].name);
        (void)snprintf(ret->nodes[i].url, sizeof ret->nodes[i].url, "%s", from->nodes[i].url);
    }
    ret->nodes_count = (unsigned)count;
    ret->ca_pem = from->ca_pem;
    ret->cap = from->cap;
    from->ca_pem = from->cap = NULL;
}

urd_err client_place_of_home(struct urd_cx *cx, const char *dir, struct client_place *ret,
                             char *errmsg)
{
    struct node_place *place = calloc(1, sizeof *place);
    if (place == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");
    urd_err err =
        node_command_home(cx, dir, place, errmsg, errmsg != NULL ? URD_CLIENT_ERRMSG_MAX : 0);
    if (err == URD_OK) {
        take(place, 1, ret); /* admin.cap counts at its own node alone */
        node_place_done(place);
    }
    free(place);
    return err;
}

urd_err client_place_of_profile(struct urd_cx *cx, const char *path, struct client_place *ret,
                                char *errmsg)
{
    char *text;
    size_t len;
    urd_err err = client_local_load(cx, path, PROFILE_BYTES_MAX, &text, &len);
    if (err != URD_OK)
        return client_say(errmsg, URD_E_CONFIG, "the profile %.300s: %s", path, urd_err_text(err));
    struct node_place *place = calloc(1, sizeof *place);
    err = place != NULL ? node_command_profile(text, len, place, errmsg,
                                               errmsg != NULL ? URD_CLIENT_ERRMSG_MAX : 0)
                        : client_say(errmsg, URD_E_NOMEM, "out of memory");
    client_text_wipe(text);
    if (err == URD_OK) {
        take(place, CLIENT_NODES_MAX, ret);
        node_place_done(place);
    }
    free(place);
    return err;
}

void client_place_done(struct client_place *place)
{
    free(place->ca_pem);
    client_text_wipe(place->cap);
    *place = (struct client_place){ .nodes_count = 0 };
}
