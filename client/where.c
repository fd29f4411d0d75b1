/* Two questions, each answered by the first that knows:
 *
 *     whom to ask    --node, URD_NODE, then the place
 *     what to show   --cap, URD_CAP, then the place
 *     the place      --profile or --home, URD_PROFILE, URD_HOME: also whom to trust */
#include "client/where.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/wire_v2.h"
#include "client/local.h"
#include "client/place.h"

#define TOKEN_TEXT_MAX ((size_t)URD_CAPS_TOKEN_TEXT_SIZE_MAX * NODE_TOKENS_MAX)

void client_text_wipe(char *text)
{
    if (text != NULL) sodium_memzero(text, strlen(text));
    free(text);
}

void client_tokens_done(ProtobufCBinaryData *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tokens[i].data != NULL) sodium_memzero(tokens[i].data, tokens[i].len);
        free(tokens[i].data);
        tokens[i] = (ProtobufCBinaryData){ 0 };
    }
}

urd_err client_tokens_encode(const struct urd_caps_bundle *bundle, ProtobufCBinaryData *ret_tokens,
                             size_t *ret_count)
{
    size_t count = bundle->discharge_count + 1;
    if (count > NODE_TOKENS_MAX) return URD_E_TOO_BIG;
    for (size_t i = 0; i < count; i++) {
        const struct urd_caps_token *token = i == 0 ? bundle->root : bundle->discharges[i - 1];
        uint8_t *bytes = NULL;
        size_t len = 0;
        urd_err err = urd_caps_v2_encode(token, &bytes, &len);
        if (err != URD_OK) {
            client_tokens_done(ret_tokens, i);
            return err;
        }
        ret_tokens[i] = (ProtobufCBinaryData){ .data = bytes, .len = len };
    }
    *ret_count = count;
    return URD_OK;
}

/* Cut white space off both ends of @text, in place. */
static void trim(char *text)
{
    size_t len = strlen(text), front = 0;
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    while (front < len && isspace((unsigned char)text[front]))
        front++;
    memmove(text, text + front, len - front);
    sodium_memzero(text + len - front, front);
    text[len - front] = '\0';
}

static urd_err load_token(struct urd_cx *cx, const char *path, char **ret, char *errmsg)
{
    size_t len;
    urd_err err = client_local_load(cx, path, TOKEN_TEXT_MAX, ret, &len);
    if (err != URD_OK)
        return client_say(errmsg, err, "the token in %.300s: %s", path, urd_err_text(err));
    trim(*ret);
    return URD_OK;
}

urd_err client_token_text(struct urd_cx *cx, const char *given, bool or_file, char **ret_text,
                          bool *ret_shown, char *errmsg)
{
    *ret_shown = false;
    if (strcmp(given, "-") == 0) return load_token(cx, given, ret_text, errmsg);
    if (given[0] == '@') return load_token(cx, given + 1, ret_text, errmsg);
    if (or_file) {
        urd_err err = load_token(cx, given, ret_text, errmsg);
        if (err != URD_E_NOT_FOUND && err != URD_E_INVALID) return err;
    }
    char *text = strdup(given);
    if (text == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");
    trim(text);
    *ret_text = text;
    *ret_shown = true;
    return URD_OK;
}

/* Show what @text holds. */
static urd_err take_token(struct urd_client *client, const char *text, char *errmsg)
{
    struct urd_caps_bundle bundle;
    size_t count = 0;
    urd_err err = urd_caps_bundle_from_text(text, strlen(text), &bundle);
    if (err == URD_E_NOMEM) return client_say(errmsg, err, "out of memory");
    if (err != URD_OK)
        return client_say(errmsg, URD_E_DENIED, "the capability given is no token: %s",
                          urd_err_text(err));
    err = client_tokens_encode(&bundle, client->tokens, &count);
    urd_caps_bundle_done(&bundle);
    client->tokens_count = (unsigned)count;
    return err == URD_OK ? URD_OK : client_say(errmsg, err, "%s", urd_err_text(err));
}

static urd_err add_door(struct urd_client *client, const char *name, size_t name_len,
                        const char *url, size_t url_len, char *errmsg)
{
    unsigned count = client->nodes_count;
    struct client_node *node = &client->nodes[count];
    if (count == CLIENT_NODES_MAX)
        return client_say(errmsg, URD_E_CONFIG, "more than %u nodes", CLIENT_NODES_MAX);
    if (name_len == 0 || url_len == 0 || name_len >= sizeof node->name ||
        url_len >= sizeof node->url)
        return client_say(errmsg, URD_E_CONFIG, "a node is NAME=URL, as a=tls+tcp://10.0.0.1:7000");
    memcpy(node->name, name, name_len);
    memcpy(node->url, url, url_len);
    client->nodes_count = client->doors = count + 1;
    return URD_OK;
}

/* "NAME=URL", or several, a comma between each two. */
static urd_err take_nodes(struct urd_client *client, const char *text, char *errmsg)
{
    for (;;) {
        size_t len = strcspn(text, ",");
        const char *equals = memchr(text, '=', len);
        size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
        urd_err err = add_door(client, text, name_len, equals != NULL ? equals + 1 : text,
                               equals != NULL ? len - name_len - 1 : 0, errmsg);
        if (err != URD_OK || text[len] == '\0') return err;
        text += len + 1;
    }
}

/* The place that the flags name, else the environment; *@ret is empty when neither does. */
static urd_err find_place(struct urd_cx *cx, const struct urd_client_options *options,
                          struct client_place *ret, char *errmsg)
{
    const char *profile = options->profile, *home = options->home;
    if (profile == NULL && home == NULL) {
        profile = getenv("URD_PROFILE");
        home = getenv("URD_HOME");
    }
    if (profile != NULL && profile[0] != '\0')
        return client_place_of_profile(cx, profile, ret, errmsg);
    if (home != NULL && home[0] != '\0') return client_place_of_home(cx, home, ret, errmsg);
    return URD_OK;
}

static urd_err ask_whom(struct urd_client *client, const char *node,
                        const struct client_place *place, char *errmsg)
{
    urd_err err = URD_OK;
    if (node != NULL && node[0] != '\0') {
        err = take_nodes(client, node, errmsg);
    } else {
        for (unsigned i = 0; i < place->nodes_count && err == URD_OK; i++)
            err = add_door(client, place->nodes[i].name, strlen(place->nodes[i].name),
                           place->nodes[i].url, strlen(place->nodes[i].url), errmsg);
    }
    if (err != URD_OK) return err;
    if (client->doors == 0)
        return client_say(errmsg, URD_E_CONFIG,
                          "no node is named: give --node, --profile or --home, or set URD_NODE, "
                          "URD_PROFILE or URD_HOME");
    for (unsigned i = 0; i < client->doors && client->ca_pem == NULL; i++)
        if (strncmp(client->nodes[i].url, "tls+", 4) == 0)
            return client_say(errmsg, URD_E_CONFIG,
                              "nothing says whom to trust: --profile or --home does");
    return URD_OK;
}

static urd_err show_what(struct urd_cx *cx, struct urd_client *client, const char *cap,
                         const struct client_place *place, char *errmsg)
{
    bool shown;
    char *text = NULL;
    if (cap == NULL || cap[0] == '\0')
        return place->cap != NULL ? take_token(client, place->cap, errmsg) : URD_OK;
    urd_err err = client_token_text(cx, cap, true, &text, &shown, errmsg);
    if (err == URD_OK) err = take_token(client, text, errmsg);
    client_text_wipe(text);
    return err;
}

urd_err client_where(struct urd_cx *cx, const struct urd_client_options *options,
                     struct urd_client *client, char *errmsg)
{
    const char *node = options->node != NULL ? options->node : getenv("URD_NODE");
    const char *cap = options->cap != NULL ? options->cap : getenv("URD_CAP");
    struct client_place *place = calloc(1, sizeof *place);
    if (place == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");

    urd_err err = find_place(cx, options, place, errmsg);
    if (err == URD_OK) {
        client->ca_pem = place->ca_pem;
        place->ca_pem = NULL;
        err = ask_whom(client, node, place, errmsg);
    }
    if (err == URD_OK) err = show_what(cx, client, cap, place, errmsg);
    client_place_done(place);
    free(place);
    return err;
}
