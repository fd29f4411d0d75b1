/* node/node_internal.h -- what a running node is made of, for the files of this room.
 *
 * Everything here belongs to tasks of the node's pinned region (node.h): no locks; what a blocking
 * call may change meanwhile is read again after it. */
#ifndef NODE_NODE_INTERNAL_H
#define NODE_NODE_INTERNAL_H

#include "caps/verify.h"
#include "node/directory.h"
#include "node/handler.h"
#include "node/invite.h"
#include "node/say_internal.h"
#include "runtime/rpc.h"
#include "runtime/sync.h"

struct saga_ledgers;

#define NODE_KEYS_MAX          4096u
#define NODE_ORIGINS_MAX       NODE_MEMBERS_MAX
#define NODE_SERVICES_MAX      8u
#define NODE_PURPOSE_BYTES_MAX 63u
#define NODE_NS_PER_MS         UINT64_C(1000000)
#define NODE_NS_PER_S          INT64_C(1000000000)
#define NODE_PURPOSE_CLIENT    "client"
#define NODE_PURPOSE_PEER      "peer"
#define NODE_PURPOSE_ADMIN     "admin"
#define NODE_RESTORED_MARK     "restored" /* in DIR: the store was put back from a backup */

/* ---- root keys (keys.c) ---- */

struct node_key {
    uint8_t id[NODE_ROOT_KEY_ID_BYTES];
    char purpose[NODE_PURPOSE_BYTES_MAX + 1];
    char origin[NODE_NAME_BYTES_MAX + 1]; /* who made it: that node mints with it */
    bool local;                           /* on this node's disk only: admin.cap's */
    int64_t created_s, retired_s;
    struct urd_caps_key key;
};

struct node_keys {
    struct node_key *items[NODE_KEYS_MAX];
    uint32_t count;
};

URD_MUST_USE urd_err node_keys_add(struct node_keys *keys, const struct node_key *key,
                                   const uint8_t *secret, size_t secret_len);
void node_keys_done(struct node_keys *keys);
/* urd_caps_root_key_fn over a struct node_keys. */
const struct urd_caps_key *node_keys_find(void *arg,
                                          const uint8_t root_key_id[URD_CAPS_ROOT_KEY_ID_BYTES]);
const struct node_key *node_keys_get(const struct node_keys *keys, const uint8_t *root_key_id);
/* The key that this node mints with for @purpose; NULL: none yet. */
const struct node_key *node_keys_current(const struct node_keys *keys, const char *origin,
                                         const char *purpose);
/* Make a root key for @purpose and tell the members.  Blocks. */
URD_MUST_USE urd_err node_keys_make(struct urd_cx *cx, struct node *node, const char *purpose,
                                    uint8_t *ret_id);
/* Mint with @key: all caveats of @parent (NULL: from nothing), then @caveats.
 * *@ret is given back with urd_caps_token_free(). */
URD_MUST_USE urd_err node_keys_mint(struct urd_cx *cx, const struct node *node,
                                    const struct node_key *key, const struct urd_caps_token *parent,
                                    const char *const *caveats, size_t caveat_count, int64_t now_s,
                                    struct urd_caps_token **ret, char *errmsg, size_t errmsg_len);

/* ---- facts (facts.c): what members tell each other, durable ---- */

struct node_origin {
    char name[NODE_NAME_BYTES_MAX + 1];
    uint64_t reached; /* all of its facts up to this number are here */
};

/* Read every fact there is and apply it: once, before anything is served. */
URD_MUST_USE urd_err node_facts_load(struct urd_cx *cx, struct node *node, char *errmsg,
                                     size_t errmsg_len);
/* Put facts of a new directory into @store while nothing runs: what join was told. */
URD_MUST_USE urd_err node_facts_plant(struct storage *store, Urd__V1__Fact *const *facts,
                                      size_t count);
/* Say a new fact of this node's own: number it, make it durable, apply it, tell the members.
 * @fact's kind is filled, the rest is set here.  Blocks.  @ret_seq may be NULL. */
URD_MUST_USE urd_err node_facts_say(struct urd_cx *cx, struct node *node, Urd__V1__Fact *fact,
                                    uint64_t *ret_seq);
/* Take what another node told, as far as it follows on what is here without a gap.  With @origin
 * (may be NULL) everything of that origin up to @covered has been told now.  Blocks. */
URD_MUST_USE urd_err node_facts_take(struct urd_cx *cx, struct node *node,
                                     Urd__V1__Fact *const *facts, size_t count, const char *origin,
                                     uint64_t covered);
/* How far this node has come with @origin's facts. */
uint64_t node_facts_reached(const struct node *node, const char *origin);
/* The same for all, in @call's arena or, when NULL, by malloc (free each, then the array). */
URD_MUST_USE urd_err node_facts_vector(const struct node *node, Urd__V1__Reached ***ret,
                                       size_t *ret_count);
void node_facts_vector_free(Urd__V1__Reached **vector, size_t count);
/* Facts of @origin after number @after, at most @limit and a reply's worth; *@ret is an array for
 * node_facts_free().  *@ret_upto: everything up to here is in it, or gone. */
URD_MUST_USE urd_err node_facts_read(struct urd_cx *cx, const struct node *node, const char *origin,
                                     uint64_t after, uint32_t limit, Urd__V1__Fact ***ret,
                                     size_t *ret_count, uint64_t *ret_upto);
void node_facts_free(Urd__V1__Fact **facts, size_t count);
/* Forget revocations of what has expired by @now_s anyway.  Blocks. */
URD_MUST_USE urd_err node_facts_sweep(struct urd_cx *cx, struct node *node, int64_t now_s);

/* ---- members (members.c) ---- */

struct node_link; /* peer.c: the connection to a member */

struct node_known {
    char name[NODE_NAME_BYTES_MAX + 1];
    char url[NODE_ADDRESS_BYTES_MAX + 1]; /* what it said */
    char data[NODE_ADDRESS_BYTES_MAX + 1];
    char version[32];
    uint8_t peer_token_id[URD_CAPS_TOKEN_ID_BYTES];
    bool has_peer_token;
    bool expelled;
    int64_t at_ns; /* of the fact that stands */
    char origin[NODE_NAME_BYTES_MAX + 1];
    /* since this node started */
    bool heard;
    uint64_t heard_ns; /* monotonic: it spoke */
    bool fresh;
    uint64_t fresh_ns; /* monotonic: it spoke, and all its facts were here */
    uint64_t knows;    /* of this node's facts, what it confirmed */
    struct node_link *link;
};

/* Apply a fact about a member. */
urd_err node_members_apply(struct node *node, const Urd__V1__Fact *fact);
struct node_known *node_members_get(const struct node *node, const char *name);
/* Where @known is dialled: configuration first. */
const char *node_members_url(const struct node *node, const struct node_known *known);
/* Tell the members this node's own addresses and version when they are not what stands.  Blocks. */
URD_MUST_USE urd_err node_members_announce(struct urd_cx *cx, struct node *node);
/* Fill @ret from @known; strings are borrowed. */
void node_members_message(struct urd_cx *cx, const struct node *node,
                          const struct node_known *known, Urd__V1__Member *ret);
/* @name spoke just now, and said that its own facts go up to @seq. */
void node_members_heard(struct urd_cx *cx, struct node *node, const char *name, uint64_t seq);
/* Nanoseconds since @name's revocations were heard; URD_CAPS_NEVER_HEARD_NS. */
uint64_t node_members_fresh_ago(struct urd_cx *cx, const struct node *node, const char *name);

/* ---- revocation (revocation.c) ---- */

urd_err node_revocation_apply(struct node *node, const Urd__V1__Fact *fact);

/* ---- uses (uses.c) ---- */

/* Spend @spends for the use @identity (32 bytes) of the token behind @grant at its home.  Blocks.
 * Errors: URD_E_DENIED used up, *@ret_refused says which, @ret_retry_ns when a rate may have room;
 * URD_E_UNREACHABLE the home is away. */
URD_MUST_USE urd_err node_uses_spend(struct urd_cx *cx, struct node *node,
                                     const struct urd_caps_grant *grant,
                                     const struct urd_caps_spends *spends, const uint8_t *identity,
                                     uint64_t deadline_ns, uint32_t *ret_refused,
                                     uint64_t *ret_retry_ns);

/* ---- peers (peer.c) ---- */

/* The task that keeps a link to every member. */
urd_err node_peers_run(struct urd_cx *cx, void *node);
/* Something was said here: push it.  Never blocks. */
void node_peers_wake(struct node *node);
/* As node_member_call(), the bytes as they are: *@ret as urd_rpc_call(). */
URD_MUST_USE urd_err node_peers_relay(struct urd_cx *cx, struct node *node, const char *name,
                                      const uint8_t *frame, size_t frame_len, uint64_t deadline_ns,
                                      struct urd_buffer *ret);

/* ---- the door (rpc.c) ---- */

/* urd_rpc_handler over a struct node. */
void node_rpc_answer(struct urd_cx *cx, void *node, const uint8_t *frame, size_t frame_len,
                     struct urd_buffer *reply);
/* Fill what every request to a member has. */
URD_MUST_USE urd_err node_request_begin(struct urd_cx *cx, Urd__V1__Request *request,
                                        uint8_t id[static NODE_REQUEST_ID_MIN]);

/* ---- trust (join.c), status (admin.c), the view (http.c) ---- */

/* Make this node's own peer capability if it has none: the first node's. */
URD_MUST_USE urd_err node_join_own_cap(struct urd_cx *cx, struct node *node);
/* Have this node certified anew and use the new certificate from now on.  Blocks. */
URD_MUST_USE urd_err node_join_renew(struct urd_cx *cx, struct node *node);
/* What `urd status --json` prints of this node; NULL: out of memory. */
json_t *node_status_json(struct urd_cx *cx, struct node *node);
/* Walk @store; *@ret is a report, *@ret_sound whether nothing was wrong.  Blocks, long. */
struct node_verify {
    struct saga_ledgers *ledgers; /* NULL: journals alone */
    bool require_ends;            /* an open saga is a breach too */
    /* Told every record of the journal as a line of JSON, from a thread of the blocking pool; NULL.
     */
    void (*record)(void *arg, const char *line);
    void *record_arg;
};
URD_MUST_USE urd_err node_verify_store(struct urd_cx *cx, struct storage *store,
                                       const struct node_verify *options, json_t **ret,
                                       bool *ret_sound);
/* The task that answers /health and /metrics on @listener. */
struct urd_tcp_listener;
struct node_http {
    struct node *node;
    struct urd_tcp_listener *listener;
};
urd_err node_http_run(struct urd_cx *cx, void *node_http);

/* ---- services and handlers of this room ---- */

extern const struct node_handler node_cap_handlers[];
extern const struct node_handler node_admin_handlers[];
extern const struct node_handler node_peer_handlers[];
extern const struct node_handler node_join_handlers[];

struct node_running {
    const struct node_service *service;
    void *state;
};

struct node {
    struct node_directory *dir;
    struct node_config *config; /* of dir, with the ports as bound */
    struct storage *store;
    struct storage_committer *committer;
    struct urd_scope *scope, *free_scope;
    struct urd_rpc_server *server;
    struct node_running services[NODE_SERVICES_MAX];
    uint32_t service_count;

    struct node_keys keys;
    struct urd_caps_revoked *revoked;
    struct urd_mutex facts_lock; /* one fact is numbered, made durable and applied at a time */
    struct node_origin origins[NODE_ORIGINS_MAX];
    uint32_t origin_count;
    struct node_known *members[NODE_MEMBERS_MAX];
    uint32_t member_count;
    uint64_t members_version;
    struct urd_notify members_changed; /* the links' task looks again */
    struct urd_notify confirmed;       /* a member has come further with our facts */
    bool revoked_grew;
    struct urd_notify revoked_changed; /* services look again */

    uint64_t started_ns;
    int64_t cert_not_after_s;
    bool draining;
    int64_t uses_floor_s;  /* counters lost what they had until then; 0: nothing */
    bool restored;         /* the store was put back from a backup */
    struct urd_event stop; /* node_halt(), or a signal */
    urd_err halted;
    char halt_errmsg[NODE_ERRMSG_BYTES];
    /* counters, for the view */
    uint64_t requests, refused, failed, requests_by_row[128];
};

/* Wall clock, in seconds; 0 when the gate is shut. */
int64_t node_wall_s(struct urd_cx *cx);
int64_t node_wall_ns(struct urd_cx *cx);
/* The handler of @body among all services; *@ret_service is its service's state. */
const struct node_handler *node_handler_find(const struct node *node,
                                             Urd__V1__Request__BodyCase body, void **ret_service);

/* Free @facts, from node_facts_read(), when @call's reply has been written. */
URD_MUST_USE urd_err node_call_keep_facts(struct node_call *call, Urd__V1__Fact **facts,
                                          size_t count);

/* Make @call's reply that of @reply, which is freed when it has been written. */
URD_MUST_USE urd_err node_call_keep_reply(struct node_call *call, Urd__V1__Reply *reply);

/* ---- the arena ---- */

struct node_arena_block {
    struct node_arena_block *next;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};
struct node_arena_facts {
    struct node_arena_facts *next;
    Urd__V1__Fact **facts;
    size_t count;
};
struct node_arena {
    struct node_arena_block *first;
    Urd__V1__Reply *reply; /* of a node that the call was passed on to */
    struct node_arena_facts *facts;
};
void *node_arena_alloc(struct node_arena *arena, size_t size);
void node_arena_done(struct node_arena *arena); /* wipes */

#endif
