/* client/file_internal.h -- what sending and fetching share.
 *
 *   file.c        places, finding a node, the answers of ls, stat and rm
 *   file_data.c   one data session: hub, terms, addresses, what it came to
 *   file_send.c   paths to nodes
 *   file_fetch.c  a node's file to a local path */
#ifndef CLIENT_FILE_INTERNAL_H
#define CLIENT_FILE_INTERNAL_H

#include "client/session.h"
#include "fountain/transfer/transfer.h"

/* "NODE,NODE:/PATH", taken apart. */
struct client_place_names {
    char nodes[URD_FILE_TARGETS_MAX][64];
    unsigned nodes_count;
    char path[NODE_PATH_BYTES_MAX + 1]; /* clean, relative; "": the root */
    bool is_directory;                  /* it ended in '/', or is the root */
};
/* Errors: URD_E_INVALID, with a sentence. */
URD_MUST_USE urd_err client_file_place(const char *text, struct client_place_names *ret,
                                       char *errmsg);

/* Learn where @node is and what to show there, for @path.  @ret_address: where it hears datagrams,
 * as it says; "" when it does not.  Errors: URD_E_NOT_FOUND no such node. */
URD_MUST_USE urd_err client_file_locate(struct urd_cx *cx, struct urd_client *client,
                                        const char *node, const char *path, bool fetch,
                                        char ret_address[NODE_URL_BYTES_MAX + 1], char *errmsg);

/* A data session from this end: its offer, its hub, what both agreed on. */
struct client_data {
    struct urd_fountain_offer offer;
    uint8_t offer_bytes[URD_FOUNTAIN_OFFER_LEN];
    struct urd_fountain_agreement agreement;
    struct urd_address peer;
    struct urd_fountain_hub *hub;
    uint64_t session_id; /* by which the node knows it */
    bool agreed;
};
/* Make this end's offer and its @ret_terms, which borrow from @ret.  Give back with
 * client_data_done(). */
URD_MUST_USE urd_err client_data_init(struct urd_cx *cx, const struct urd_file_options *options,
                                      struct client_data *ret, Urd__V1__FileTerms *ret_terms,
                                      char *errmsg);
/* Take the other end's @terms; open the hub that goes with its address, which is @address when the
 * terms name none. */
URD_MUST_USE urd_err client_data_agree(struct urd_cx *cx, struct client_data *data,
                                       uint64_t session_id, const Urd__V1__FileTerms *terms,
                                       bool sending, const char *address, char *errmsg);
/* Wipe and close; the hub runs no more. */
void client_data_done(struct client_data *data);

/* Run the hub beside @body: opens a region, in which @beside (may be NULL) runs as a task too; an
 * error of it ends the transfer and is the answer. */
struct client_data_tasks {
    struct client_data *data;
    urd_task_fn body, beside;
    void *arg;
    urd_err body_err, beside_err; /* filled in */
    struct urd_scope *scope;      /* private */
};
URD_MUST_USE urd_err client_data_run(struct urd_cx *cx, struct client_data_tasks *tasks);

/* Tell the node how the session ended, even in a cancelled task.  @sending says which of the two
 * RPCs.  With @wait the answer is awaited until the file is complete there. */
URD_MUST_USE urd_err client_data_finish(struct urd_cx *cx, struct urd_client *client,
                                        const char *node, const struct client_data *data,
                                        bool sending, Urd__V1__FileEnd end, char *errmsg);

/* @stats as a result. */
void client_data_result(const struct urd_fountain_stats *stats, bool finished,
                        struct urd_file_result *ret);

/* What a transfer of @manifest (its bytes) between here and @where is known by, the same each time:
 * BLAKE2b of both. */
void client_transfer_id(const uint8_t *manifest, size_t manifest_len, const char *where,
                        uint8_t ret[static NODE_ID_BYTES], char ret_text[33]);

/* A progress function of the transfer that tells @options's. */
struct client_file_teller {
    const struct urd_file_options *options;
    const char *node;
};
void client_file_tell(void *teller, const struct urd_fountain_progress *progress);

#endif
