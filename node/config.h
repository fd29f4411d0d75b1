/* node/config.h -- urd.conf: what a node is told, as one typed struct.
 *
 * INI: sections, `key = value`, `#` or `;` begin a comment.  Every key has a default; a key that is
 * not known, or that stands twice, stops the start with a sentence that names the line.  The keys,
 * their units and defaults are one table (config.c), which deploy/conf/urd.conf shows in full. */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define NODE_CONFIG_BYTES_MAX      65536u
#define NODE_CONFIG_LINE_BYTES_MAX 190u /* libinih cuts longer lines in two */
#define NODE_NAME_BYTES_MAX        63u
#define NODE_ADDRESS_BYTES_MAX     160u
#define NODE_CONFIG_PEERS_MAX      64u
#define NODE_CONFIG_HOSTS_MAX      64u
#define NODE_CONFIG_QUANTITIES_MAX 64u
#define NODE_CONFIG_CONTEXT_MAX    16u

struct node_config_peer {
    char name[NODE_NAME_BYTES_MAX + 1];
    char url[NODE_ADDRESS_BYTES_MAX + 1]; /* tls+tcp://ADDR:PORT */
};

/* A named quantity that sagas reserve parts of (built-in Reserve). */
struct node_config_quantity {
    char name[NODE_NAME_BYTES_MAX + 1];
    uint64_t amount;
};

struct node_config {
    char name[NODE_NAME_BYTES_MAX + 1];
    char cluster[NODE_NAME_BYTES_MAX + 1];

    char rpc_listen[NODE_ADDRESS_BYTES_MAX + 1];    /* ADDR:PORT */
    char rpc_advertise[NODE_ADDRESS_BYTES_MAX + 1]; /* ADDR:PORT others dial; "": rpc_listen */
    bool rpc_plain;                                 /* no TLS: loopback only */
    uint32_t rpc_inflight;                          /* requests handled at once */

    char data_listen[NODE_ADDRESS_BYTES_MAX + 1];
    char data_advertise[NODE_ADDRESS_BYTES_MAX + 1];
    uint64_t data_rate_max_bps; /* 0: none */

    char http_listen[NODE_ADDRESS_BYTES_MAX + 1];                       /* "": off */
    char http_allow[NODE_CONFIG_HOSTS_MAX][NODE_ADDRESS_BYTES_MAX + 1]; /* hosts sagas may call */
    uint32_t http_allow_count;

    struct node_config_peer peers[NODE_CONFIG_PEERS_MAX];
    uint32_t peer_count;
    uint64_t peer_heartbeat_ns;
    struct node_config_quantity quantities[NODE_CONFIG_QUANTITIES_MAX];
    uint32_t quantity_count;

    uint64_t store_size_bytes;
    uint64_t store_reserve_bytes;

    uint64_t saga_retention_ns;
    uint64_t saga_key_retention_ns;
    uint64_t saga_inflight; /* open sagas taken at once */

    uint64_t caps_expires_default_ns;
    uint64_t caps_expires_max_ns;
    char caps_context[NODE_CONFIG_CONTEXT_MAX][NODE_NAME_BYTES_MAX + 1]; /* names that requests may
                                                                            claim a value of */
    uint32_t caps_context_count;
    uint64_t revocation_max_stale_ns; /* 0: off */

    uint32_t runtime_workers; /* 0: one a core */
    uint64_t drain_ns;        /* what requests in flight have at SIGTERM */
};

/* All defaults; `name` and the listening addresses of rpc and data are empty: a file has to say. */
void node_config_default(struct node_config *ret);

/* Read urd.conf from untrusted text, over the defaults, and check it as a whole.  @errmsg names the
 * line.  Errors: URD_E_CONFIG; URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err node_config_parse(const char *text, size_t text_len, struct node_config *ret,
                                       char *errmsg, size_t errmsg_len);

/* Write @config as text that parses back to it: keys with a default only where they differ from it.
 * *@ret_text is for free().  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err node_config_format(const struct node_config *config, char **ret_text);

/* One key of the table: "rpc.listen", its default as text ("": none), and what it means. */
struct node_config_key {
    const char *name;
    const char *fallback;
    const char *meaning;
};
/* Key number @index; false: past the last. */
bool node_config_key(unsigned index, struct node_config_key *ret);

/* Is @text ADDR:PORT, `[ADDR]:PORT` or NAME:PORT, the port 0 .. 65535? */
bool node_address_ok(const char *text);
/* Does @text (as above) name the loopback by number or as localhost? */
bool node_address_is_loopback(const char *text);
/* Its port. */
uint16_t node_address_port(const char *text);
/* Replace its port.  Errors: URD_E_TOO_BIG. */
URD_MUST_USE urd_err node_address_set_port(char *text, size_t text_size, uint16_t port);
/* Is @text tls+tcp://ADDR:PORT, or tcp://ADDR:PORT on the loopback? */
bool node_url_ok(const char *text);

/* Read `NAME=URL`.  Errors: URD_E_CONFIG with a sentence. */
URD_MUST_USE urd_err node_config_peer_parse(const char *text, struct node_config_peer *ret,
                                            char *errmsg, size_t errmsg_len);

#endif
