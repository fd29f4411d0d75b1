#include "node/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/identifier.h"
#include "node/config.h"
#include "node/identity.h"
#include "node/say_internal.h"

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"

void node_place_done(struct node_place *place)
{
    free(place->ca_pem);
    node_secret_free(place->cap);
    *place = (struct node_place){ .nodes_count = 0 };
}

static urd_err bad(char *errmsg, size_t errmsg_len, unsigned line, const char *what)
{
    node_say(errmsg, errmsg_len, "client profile, line %u: %s", line, what);
    return URD_E_INVALID;
}

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL)
        text[--len] = 0;
    return text;
}

/* What is wrong with `@key = @value`, taken into @place; NULL: nothing. */
static const char *take(struct node_place *place, const char *key, const char *value)
{
    if (strcmp(key, "cluster") == 0) {
        if (!urd_caps_node_name_ok(value)) return "not a cluster's name";
        (void)snprintf(place->cluster, sizeof place->cluster, "%s", value);
        return NULL;
    }
    if (strcmp(key, "cap") == 0) {
        if (place->cap != NULL) return "a second capability";
        place->cap = strdup(value);
        return place->cap != NULL && value[0] != 0 ? NULL : "no capability";
    }
    if (strcmp(key, "node") != 0) return "an unknown key";
    struct node_config_peer peer;
    if (place->nodes_count == NODE_PLACE_NODES_MAX) return "too many nodes";
    if (node_config_peer_parse(value, &peer, NULL, 0) != URD_OK)
        return "a node is NAME=tls+tcp://ADDR:PORT";
    size_t at = place->nodes_count++;
    (void)snprintf(place->nodes[at].name, sizeof place->nodes[at].name, "%s", peer.name);
    (void)snprintf(place->nodes[at].url, sizeof place->nodes[at].url, "%s", peer.url);
    return NULL;
}

static urd_err read_lines(char *text, struct node_place *place, char *errmsg, size_t errmsg_len)
{
    unsigned number = 0;
    bool in_section = false;
    while (text != NULL && *text != 0) {
        number++;
        if (strncmp(text, PEM_BEGIN, sizeof PEM_BEGIN - 1) == 0) {
            place->ca_pem = strdup(text);
            return place->ca_pem != NULL ? URD_OK : URD_E_NOMEM;
        }
        char *line = trim(strsep(&text, "\n"));
        if (*line == 0 || *line == '#' || *line == ';') continue;
        if (strcmp(line, "[profile]") == 0) {
            in_section = true;
            continue;
        }
        char *equals = strchr(line, '=');
        if (!in_section || equals == NULL)
            return bad(errmsg, errmsg_len, number, "not a line of a profile");
        *equals = 0;
        const char *wrong = take(place, trim(line), trim(equals + 1));
        if (wrong != NULL) return bad(errmsg, errmsg_len, number, wrong);
    }
    return URD_OK;
}

urd_err node_profile_parse(const char *text, size_t text_len, struct node_place *ret, char *errmsg,
                           size_t errmsg_len)
{
    if (text_len > NODE_PROFILE_BYTES_MAX) {
        node_say(errmsg, errmsg_len, "client profile: longer than %u bytes",
                 NODE_PROFILE_BYTES_MAX);
        return URD_E_TOO_BIG;
    }
    if (memchr(text, 0, text_len) != NULL) return bad(errmsg, errmsg_len, 1, "a NUL byte");
    char *copy = malloc(text_len + 1);
    if (copy == NULL) return URD_E_NOMEM;
    memcpy(copy, text, text_len);
    copy[text_len] = 0;
    struct node_place place = { .nodes_count = 0 };
    urd_err err = read_lines(copy, &place, errmsg, errmsg_len);
    if (err == URD_OK && place.nodes_count == 0) err = bad(errmsg, errmsg_len, 1, "names no node");
    explicit_bzero(copy, text_len);
    free(copy);
    if (err != URD_OK) {
        node_place_done(&place);
        return err;
    }
    *ret = place;
    return URD_OK;
}

urd_err node_profile_format(const struct node_place *place, char **ret_text)
{
    char *text = NULL;
    size_t text_len;
    FILE *out = open_memstream(&text, &text_len);
    if (out == NULL) return URD_E_NOMEM;
    (void)fprintf(
        out, "# client profile of an Urd cluster: keep it as you would a password\n[profile]\n");
    if (place->cluster[0] != 0) (void)fprintf(out, "cluster = %s\n", place->cluster);
    for (size_t i = 0; i < place->nodes_count; i++)
        (void)fprintf(out, "node = %s=%s\n", place->nodes[i].name, place->nodes[i].url);
    if (place->cap != NULL) (void)fprintf(out, "cap = %s\n", place->cap);
    if (place->ca_pem != NULL) (void)fprintf(out, "%s", place->ca_pem);
    if (fclose(out) != 0) {
        node_secret_free(text);
        return URD_E_NOMEM;
    }
    *ret_text = text;
    return URD_OK;
}
