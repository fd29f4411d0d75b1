/* `urd init`: a new node directory, of a new cluster or of one that sent an invite.
 *
 *     options -> configuration, free ports -> keys -> certified by one's own CA | by the inviter
 *             -> what the inviter told goes into the store -> the directory, urd.conf last */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/text.h"
#include "caps/wire_v2.h"
#include "node/command.h"
#include "node/identity.h"
#include "node/node_internal.h"
#include "runtime/blocking.h"
#include "runtime/net.h"
#include "storage/kv_lmdb.h"

#define JOIN_DEADLINE_NS UINT64_C(20000000000)

struct making {
    struct urd_cx *cx;
    const struct node_command_init *options;
    struct node_directory *d;   /* what is to be written */
    struct node_invite *invite; /* NULL: a new cluster */
    Urd__V1__Reply *joined;     /* the inviter's answer */
    char *admin_cap;
    char *errmsg;
    size_t errmsg_len;
};

static int fill_random(void *cx, unsigned char *ret, size_t len)
{
    return urd_cx_random(cx, ret, len) == URD_OK ? 0 : -1;
}

/* ---- configuration ---- */

/* Take a free port when @listen says 0, and keep it. */
static urd_err settle_port(struct making *m, bool udp, char *listen, size_t listen_size)
{
    struct urd_address address;
    if (node_address_port(listen) != 0) return URD_OK;
    urd_err err = urd_resolve(m->cx, listen, &address);
    if (err == URD_OK && udp) {
        struct urd_udp *socket;
        err = urd_udp_open(m->cx, &address, 0, &socket);
        if (err == URD_OK) {
            urd_udp_local(socket, &address);
            urd_udp_close(socket);
        }
    } else if (err == URD_OK) {
        struct urd_tcp_listener *listener;
        err = urd_tcp_listen(m->cx, &address, &listener);
        if (err == URD_OK) {
            urd_tcp_listener_local(listener, &address);
            urd_tcp_listener_close(listener);
        }
    }
    if (err != URD_OK) {
        node_say(m->errmsg, m->errmsg_len, "no free port on %s: %s", listen, urd_err_text(err));
        return err;
    }
    return node_address_set_port(listen, listen_size, urd_address_port(&address));
}

static bool listens_everywhere(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

/* "ADDR:PORT[,ADVERTISED]" into two fields. */
static urd_err set_address(struct making *m, const char *what, const char *given, bool udp,
                           char *ret_listen, char *ret_advertise)
{
    const size_t size = NODE_ADDRESS_BYTES_MAX + 1;
    char text[2 * NODE_ADDRESS_BYTES_MAX + 2];
    if (given == NULL) given = "127.0.0.1:0";
    if (strlen(given) >= sizeof text) return URD_E_TOO_BIG;
    (void)snprintf(text, sizeof text, "%s", given);
    char *advertise = text;
    const char *listen = strsep(&advertise, ",");
    if (!node_address_ok(listen) || (advertise != NULL && !node_address_ok(advertise))) {
        node_say(m->errmsg, m->errmsg_len, "--%s %s: it is ADDR:PORT or ADDR:PORT,ADVERTISED", what,
                 given);
        return URD_E_CONFIG;
    }
    (void)snprintf(ret_listen, size, "%s", listen);
    if (advertise == NULL && listens_everywhere(listen)) {
        node_say(m->errmsg, m->errmsg_len,
                 "--%s %s listens on every address: say too which one others reach it at, "
                 "--%s %s,HOST:PORT",
                 what, given, what, given);
        return URD_E_CONFIG;
    }
    urd_err err = settle_port(m, udp, ret_listen, size);
    if (err != URD_OK || advertise == NULL) return err;
    (void)snprintf(ret_advertise, size, "%s", advertise);
    if (node_address_port(advertise) != 0) return URD_OK;
    return node_address_set_port(ret_advertise, size, node_address_port(ret_listen));
}

static urd_err set_peers(struct making *m, struct node_config *config)
{
    for (size_t i = 0; i < m->options->peers_count; i++) {
        if (config->peer_count == NODE_CONFIG_PEERS_MAX) return URD_E_TOO_BIG;
        urd_err err = node_config_peer_parse(
            m->options->peers[i], &config->peers[config->peer_count], m->errmsg, m->errmsg_len);
        if (err != URD_OK) return err;
        config->peer_count++;
    }
    return URD_OK;
}

/* What will be read back at every start must be right now. */
static urd_err check_config(struct making *m, struct node_config *config)
{
    char *text;
    urd_err err = node_config_format(config, &text);
    if (err != URD_OK) return err;
    err = node_config_parse(text, strlen(text), config, m->errmsg, m->errmsg_len);
    free(text);
    return err;
}

static urd_err configure(struct making *m)
{
    const struct node_command_init *o = m->options;
    struct node_config *config = &m->d->config;
    node_config_default(config);
    const char *cluster = m->invite != NULL ? m->invite->cluster : o->cluster;
    if (o->name == NULL || !urd_caps_node_name_ok(o->name)) {
        node_say(m->errmsg, m->errmsg_len,
                 "--name: a node's name is 1 to 63 of letters, digits, . _ -");
        return URD_E_CONFIG;
    }
    if (m->invite != NULL && m->invite->name[0] != 0 && strcmp(m->invite->name, o->name) != 0) {
        node_say(m->errmsg, m->errmsg_len, "the invite is for a node called %s", m->invite->name);
        return URD_E_CONFIG;
    }
    if (cluster != NULL && !urd_caps_node_name_ok(cluster)) {
        node_say(m->errmsg, m->errmsg_len, "--cluster: `%s` is not a name", cluster);
        return URD_E_CONFIG;
    }
    (void)snprintf(config->name, sizeof config->name, "%s", o->name);
    if (cluster != NULL) (void)snprintf(config->cluster, sizeof config->cluster, "%s", cluster);
    config->rpc_plain = o->plain;
    urd_err err = set_address(m, "rpc", o->rpc, false, config->rpc_listen, config->rpc_advertise);
    if (err == URD_OK)
        err = set_address(m, "data", o->data, true, config->data_listen, config->data_advertise);
    if (err == URD_OK && o->http != NULL)
        err = set_address(m, "http", o->http, false, config->http_listen,
                          (char[NODE_ADDRESS_BYTES_MAX + 1]){ 0 });
    if (err == URD_OK) err = set_peers(m, config);
    return err != URD_OK ? err : check_config(m, config);
}

/* ---- keys ---- */

static urd_err new_cluster(struct making *m, const uint8_t *csr, size_t csr_len)
{
    const struct node_identity_random random = { fill_random, m->cx };
    struct node_directory *d = m->d;
    int64_t now_s = node_wall_s(m->cx);
    urd_err err = node_identity_key_new(&random, &d->ca_key_pem);
    if (err == URD_OK)
        err = node_identity_ca_new(&random, d->config.cluster, d->ca_key_pem, now_s, &d->ca_pem,
                                   m->errmsg, m->errmsg_len);
    if (err == URD_OK)
        err = node_identity_certify(&random, d->ca_pem, d->ca_key_pem, csr, csr_len, d->config.name,
                                    now_s, &d->cert_pem, m->errmsg, m->errmsg_len);
    return err;
}

/* admin.cap: minted from nothing under a root key that never leaves this directory. */
static urd_err make_admin(struct making *m)
{
    struct node_directory *d = m->d;
    struct urd_caps_identifier identifier = { .issued_at_s = node_wall_s(m->cx) };
    uint8_t link[URD_CAPS_LINK_BYTES];
    urd_err err = urd_cx_random(m->cx, d->admin_key_id, sizeof d->admin_key_id);
    if (err == URD_OK) err = urd_cx_random(m->cx, d->admin_secret, sizeof d->admin_secret);
    if (err == URD_OK) err = urd_cx_random(m->cx, identifier.token_id, sizeof identifier.token_id);
    if (err == URD_OK) err = urd_cx_random(m->cx, link, sizeof link);
    if (err != URD_OK) return err;
    memcpy(identifier.root_key_id, d->admin_key_id, sizeof d->admin_key_id);
    (void)snprintf(identifier.node, sizeof identifier.node, "%s", d->config.name);
    struct urd_caps_key key;
    struct urd_caps_token *token;
    const struct urd_caps_bytes nowhere = { NULL, 0 };
    urd_caps_key_init(&key, d->admin_secret, sizeof d->admin_secret);
    err = urd_caps_token_mint(&key, &identifier, nowhere, &token);
    urd_caps_key_done(&key);
    if (err != URD_OK) return err;
    err = urd_caps_token_attenuate(token, NULL, 0, link, m->errmsg, m->errmsg_len);
    if (err == URD_OK) err = urd_caps_token_to_text(token, &m->admin_cap);
    urd_caps_token_free(token);
    return err;
}

/* ---- joining ---- */

static urd_err ask_inviter(struct making *m, Urd__V1__Request *request)
{
    struct node_directory *d = m->d;
    const struct urd_rpc_endpoint endpoint = { .url = m->invite->url,
                                               .server_name = m->invite->inviter,
                                               .ca_pem = d->ca_pem };
    struct urd_rpc_client *client;
    uint8_t *frame;
    size_t frame_len;
    struct urd_buffer answer;
    urd_err err = node_request_encode(request, &frame, &frame_len, m->errmsg, m->errmsg_len);
    if (err != URD_OK) return err;
    err = urd_rpc_dial(m->cx, &endpoint, &client);
    if (err == URD_OK) {
        err = urd_rpc_call(m->cx, client, frame, frame_len, urd_cx_now(m->cx) + JOIN_DEADLINE_NS,
                           &answer);
        urd_rpc_client_close(m->cx, client);
    }
    node_bytes_free(frame, frame_len);
    if (err != URD_OK) {
        node_say(m->errmsg, m->errmsg_len,
                 "node %s at %s does not answer, or is not who the invite says: %s",
                 m->invite->inviter, m->invite->url, urd_err_text(err));
        return err;
    }
    err = node_reply_decode(answer.bytes, answer.len, &m->joined, m->errmsg, m->errmsg_len);
    urd_buffer_done(&answer);
    if (err == URD_OK) err = node_reply_result(m->joined, m->errmsg, m->errmsg_len);
    if (err == URD_OK && m->joined->body_case != URD__V1__REPLY__BODY_NODE_JOIN)
        err = URD_E_INVALID;
    return err;
}

/* The answer against the invite: the same CA, a certificate for our key and name. */
static urd_err take_answer(struct making *m)
{
    struct node_directory *d = m->d;
    const Urd__V1__NodeJoinReply *joined = m->joined->node_join;
    uint8_t ours[NODE_FINGERPRINT_BYTES], theirs[NODE_FINGERPRINT_BYTES];
    urd_err err = node_identity_fingerprint(d->ca_pem, ours);
    if (err == URD_OK) err = node_identity_fingerprint(joined->ca_pem, theirs);
    if (err == URD_OK && memcmp(ours, theirs, sizeof ours) != 0) err = URD_E_DENIED;
    if (err == URD_OK)
        err = node_identity_check(joined->cert_pem, d->key_pem, d->ca_pem, d->config.name, NULL,
                                  NULL, NULL, 0);
    if (err != URD_OK) {
        node_say(m->errmsg, m->errmsg_len, "node %s answered with a certificate that does not fit",
                 m->invite->inviter);
        return err;
    }
    d->cert_pem = strdup(joined->cert_pem);
    if (d->cert_pem == NULL) return URD_E_NOMEM;
    if (joined->ca_key_der.len > 0)
        err = node_identity_key_from_der(joined->ca_key_der.data, joined->ca_key_der.len,
                                         &d->ca_key_pem);
    if (err != URD_OK) return err;
    struct urd_caps_token *token;
    err = urd_caps_v2_decode(joined->peer_token.data, joined->peer_token.len, &token);
    if (err != URD_OK) return err;
    err = urd_caps_token_to_text(token, &d->peer_cap);
    urd_caps_token_free(token);
    return err;
}

static urd_err join_cluster(struct making *m, const uint8_t *csr, size_t csr_len)
{
    struct node_directory *d = m->d;
    const struct node_config *config = &d->config;
    const char *rpc = config->rpc_advertise[0] != 0 ? config->rpc_advertise : config->rpc_listen;
    const char *data =
        config->data_advertise[0] != 0 ? config->data_advertise : config->data_listen;
    char url[NODE_ADDRESS_BYTES_MAX + 16];
    uint8_t id[NODE_REQUEST_ID_MIN];
    urd_err err = node_identity_cert_from_der(m->invite->ca_der, m->invite->ca_der_len, &d->ca_pem);
    if (err != URD_OK) {
        node_say(m->errmsg, m->errmsg_len, "the CA in the invite does not parse");
        return err;
    }
    (void)snprintf(url, sizeof url, "%s%s", config->rpc_plain ? "tcp://" : "tls+tcp://", rpc);
    Urd__V1__Member member = URD__V1__MEMBER__INIT;
    member.name = (char *)config->name;
    member.rpc_url = url;
    member.data_address = (char *)data;
    member.version = (char *)URD_VERSION;
    Urd__V1__NodeJoin body = URD__V1__NODE_JOIN__INIT;
    body.invite_id = (ProtobufCBinaryData){ sizeof m->invite->id, m->invite->id };
    body.secret = (ProtobufCBinaryData){ sizeof m->invite->secret, m->invite->secret };
    body.csr_der = (ProtobufCBinaryData){ csr_len, (uint8_t *)csr };
    body.member = &member;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    request.body_case = URD__V1__REQUEST__BODY_NODE_JOIN;
    request.node_join = &body;
    request.deadline_ms = JOIN_DEADLINE_NS / NODE_NS_PER_MS;
    err = node_request_begin(m->cx, &request, id);
    if (err == URD_OK) err = ask_inviter(m, &request);
    return err != URD_OK ? err : take_answer(m);
}

/* ---- the store ---- */

struct planting {
    char path[URD_PATH_MAX];
    Urd__V1__Fact *const *facts;
    size_t count;
    char *errmsg;
    size_t errmsg_len;
    urd_err err;
};

static void plant_run(void *arg)
{
    struct planting *p = arg;
    struct storage *store;
    p->err = storage_lmdb_open(p->path, NULL, &store, p->errmsg, p->errmsg_len);
    if (p->err != URD_OK) return;
    p->err = node_facts_plant(store, p->facts, p->count);
    storage_close(store);
}

/* Members and root keys, as the inviter told them, so that the node knows its cluster at once. */
static urd_err plant(struct making *m)
{
    const Urd__V1__NodeJoinReply *joined = m->joined->node_join;
    struct planting p = { .facts = joined->facts,
                          .count = joined->n_facts,
                          .errmsg = m->errmsg,
                          .errmsg_len = m->errmsg_len };
    struct urd_dir *dir;
    urd_err err = urd_dir_open(m->cx, m->options->dir, true, &dir);
    if (err != URD_OK) return err;
    urd_dir_close(dir);
    if (snprintf(p.path, sizeof p.path, "%s/store", m->options->dir) >= (int)sizeof p.path)
        return URD_E_TOO_BIG;
    err = urd_blocking(m->cx, plant_run, &p);
    return err != URD_OK ? err : p.err;
}

/* ---- the whole ---- */

static urd_err certify(struct making *m)
{
    const struct node_identity_random random = { fill_random, m->cx };
    struct node_directory *d = m->d;
    uint8_t *csr = NULL;
    size_t csr_len = 0;
    urd_err err = node_identity_key_new(&random, &d->key_pem);
    if (err == URD_OK)
        err = node_identity_csr(&random, d->config.name, d->key_pem, &csr, &csr_len, m->errmsg,
                                m->errmsg_len);
    if (err == URD_OK)
        err = m->invite != NULL ? join_cluster(m, csr, csr_len) : new_cluster(m, csr, csr_len);
    free(csr);
    return err;
}

static urd_err refuse_existing(struct making *m)
{
    struct urd_dir *dir;
    struct urd_file_info info;
    urd_err err = urd_dir_open(m->cx, m->options->dir, false, &dir);
    if (err == URD_E_NOT_FOUND) return URD_OK;
    if (err != URD_OK) {
        node_say(m->errmsg, m->errmsg_len, "%s: %s", m->options->dir, urd_err_text(err));
        return err;
    }
    err = urd_file_stat(m->cx, dir, "urd.conf", &info);
    urd_dir_close(dir);
    if (err == URD_E_NOT_FOUND) return URD_OK;
    node_say(m->errmsg, m->errmsg_len, "%s is a node directory already", m->options->dir);
    return err == URD_OK ? URD_E_EXISTS : err;
}

static urd_err make(struct making *m)
{
    urd_err err = refuse_existing(m);
    if (err == URD_OK) err = configure(m);
    if (err == URD_OK) err = certify(m);
    if (err == URD_OK) err = make_admin(m);
    if (err == URD_OK && m->joined != NULL) err = plant(m);
    if (err == URD_OK)
        err = node_directory_create(m->cx, m->options->dir, m->d, m->admin_cap, m->errmsg,
                                    m->errmsg_len);
    return err;
}

urd_err node_command_init(struct urd_cx *cx, const struct node_command_init *options, char *errmsg,
                          size_t errmsg_len)
{
    struct making m = { .cx = cx, .options = options, .errmsg = errmsg, .errmsg_len = errmsg_len };
    urd_err err = urd_caps_init();
    if (err != URD_OK) return err;
    m.d = calloc(1, sizeof *m.d);
    if (m.d == NULL) return URD_E_NOMEM;
    if (options->join != NULL) {
        m.invite = calloc(1, sizeof *m.invite);
        err = m.invite == NULL ? URD_E_NOMEM
                               : node_invite_decode(options->join, strlen(options->join), m.invite,
                                                    errmsg, errmsg_len);
    }
    if (err == URD_OK) err = make(&m);
    if (m.invite != NULL) sodium_memzero(m.invite, sizeof *m.invite);
    free(m.invite);
    node_reply_free(m.joined);
    node_secret_free(m.admin_cap);
    node_directory_close(m.d);
    return err;
}
