/* One data session: made of two halves, run beside its hub, told to the node when it ends. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/file_internal.h"

#define FINISH_NS    UINT64_C(20000000000) /* one long poll for the end */
#define FAREWELL_NS  UINT64_C(2000000000)  /* what a session that is given up has to say so */
#define ADDRESS_SELF "0.0.0.0:0"
#define ADDRESS_SIX  "[::]:0"

void client_transfer_id(const uint8_t *manifest, size_t manifest_len, const char *where,
                        uint8_t ret[static NODE_ID_BYTES], char ret_text[33])
{
    crypto_generichash_state hash;
    (void)crypto_generichash_init(&hash, NULL, 0, NODE_ID_BYTES);
    (void)crypto_generichash_update(&hash, (const uint8_t *)where, strlen(where) + 1);
    (void)crypto_generichash_update(&hash, manifest, manifest_len);
    (void)crypto_generichash_final(&hash, ret, NODE_ID_BYTES);
    (void)sodium_bin2hex(ret_text, 33, ret, NODE_ID_BYTES);
}

urd_err client_data_init(struct urd_cx *cx, const struct urd_file_options *options,
                         struct client_data *ret, Urd__V1__FileTerms *ret_terms, char *errmsg)
{
    *ret = (struct client_data){ .hub = NULL };
    urd_err err = urd_fountain_offer_make(cx, &ret->offer);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    urd_fountain_offer_encode(&ret->offer, ret->offer_bytes);
    urd__v1__file_terms__init(ret_terms);
    ret_terms->offer =
        (ProtobufCBinaryData){ .data = ret->offer_bytes, .len = sizeof ret->offer_bytes };
    ret_terms->rate_max_bps = options->rate_bps;
    return URD_OK;
}

/* Open a hub of the same family as the peer's address. */
static urd_err open_hub(struct urd_cx *cx, struct client_data *data, const char *address)
{
    struct urd_address local;
    urd_err err = urd_resolve(cx, address, &data->peer);
    char text[URD_ADDRESS_TEXT_MAX];
    if (err != URD_OK) return err;
    urd_address_format(&data->peer, text);
    err = urd_address_parse(text[0] == '[' ? ADDRESS_SIX : ADDRESS_SELF, &local);
    return err == URD_OK ? urd_fountain_hub_open(cx, &local, &data->hub) : err;
}

urd_err client_data_agree(struct urd_cx *cx, struct client_data *data, uint64_t session_id,
                          const Urd__V1__FileTerms *terms, bool sending, const char *address,
                          char *errmsg)
{
    struct urd_fountain_offer theirs;
    data->session_id = session_id;
    data->agreed = true;
    if (terms->address[0] != '\0') address = terms->address;
    if (address[0] == '\0')
        return client_say(errmsg, URD_E_UNREACHABLE,
                          "the node does not say where it hears datagrams");
    urd_err err = urd_fountain_offer_decode(terms->offer.data, terms->offer.len, &theirs);
    if (err != URD_OK)
        return client_say(errmsg, err, "the node's half of the session: %s", urd_err_text(err));
    if (sending)
        urd_fountain_agree(&data->offer, &theirs, &data->agreement);
    else
        urd_fountain_agree(&theirs, &data->offer, &data->agreement);
    urd_fountain_offer_done(&theirs);
    err = open_hub(cx, data, address);
    return err == URD_OK
               ? URD_OK
               : client_say(errmsg, err, "a socket to %s: %s", address, urd_err_text(err));
}

void client_data_done(struct client_data *data)
{
    urd_fountain_hub_close(data->hub);
    urd_fountain_offer_done(&data->offer);
    urd_fountain_agreement_done(&data->agreement);
    sodium_memzero(data->offer_bytes, sizeof data->offer_bytes);
    data->hub = NULL;
}

/* ---- running it ---------------------------------------------------------------------------------
 */

static urd_err run_hub(struct urd_cx *cx, void *arg)
{
    const struct client_data_tasks *t = arg;
    return urd_fountain_hub_run(cx, t->data->hub);
}

static urd_err run_body(struct urd_cx *cx, void *arg)
{
    struct client_data_tasks *t = arg;
    return t->body_err = t->body(cx, t->arg);
}

/* Its error ends the body; its end does not. */
static urd_err run_beside(struct urd_cx *cx, void *arg)
{
    struct client_data_tasks *t = arg;
    t->beside_err = t->beside(cx, t->arg);
    if (t->beside_err != URD_OK && t->beside_err != URD_E_CANCELLED)
        urd_scope_cancel(cx, t->scope, URD_CANCEL_SIBLING_FAILED);
    return t->beside_err;
}

/* The hub and what runs beside are there before the body begins, and end after it. */
static urd_err run_inner(struct urd_cx *cx, struct client_data_tasks *t)
{
    const struct urd_region_options options = { .name = "hub", .policy = URD_REGION_COLLECT };
    const struct urd_spawn_options hub = { .name = "hub", .stack = URD_STACK_LARGE },
                                   beside = { .name = "digests", .stack = URD_STACK_LARGE },
                                   body = { .name = "transfer", .stack = URD_STACK_LARGE };
    urd_err err = URD_E_NOMEM;
    URD_REGION(r);
    URD_JOIN(j);
    if (!urd_region_open(cx, &options, r)) return err;
    err = urd_spawn(cx, urd_region_scope(r), &hub, run_hub, t);
    if (err == URD_OK && t->beside != NULL)
        err = urd_spawn(cx, urd_region_scope(r), &beside, run_beside, t);
    if (err == URD_OK && urd_spawn_join(cx, t->scope, &body, run_body, t, j, &err))
        urd_join_wait(cx, j, NULL);
    urd_region_close(cx, r, NULL);
    return err;
}

urd_err client_data_run(struct urd_cx *cx, struct client_data_tasks *t)
{
    const struct urd_region_options options = { .name = "transfer", .policy = URD_REGION_COLLECT };
    t->body_err = URD_E_CANCELLED;
    t->beside_err = URD_OK;
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    t->scope = urd_region_scope(r);
    urd_err err = run_inner(cx, t);
    urd_region_close(cx, r, NULL);
    if (err != URD_OK) return err;
    bool beside_failed = t->beside_err != URD_OK && t->beside_err != URD_E_CANCELLED;
    return t->body_err != URD_OK && beside_failed ? t->beside_err : t->body_err;
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static urd_err finish_once(struct urd_cx *cx, struct urd_client *client, const char *node,
                           struct client_request *request, uint64_t deadline_ns, char *errmsg)
{
    Urd__V1__Reply *reply;
    urd_err err = client_call(cx, client, node, request, deadline_ns, &reply, errmsg);
    if (err == URD_OK) node_reply_free(reply);
    return err;
}

urd_err client_data_finish(struct urd_cx *cx, struct urd_client *client, const char *node,
                           const struct client_data *data, bool sending, Urd__V1__FileEnd end,
                           char *errmsg)
{
    struct client_request request;
    Urd__V1__FileOfferFinish sent = URD__V1__FILE_OFFER_FINISH__INIT;
    Urd__V1__FileOpenFinish received = URD__V1__FILE_OPEN_FINISH__INIT;
    if (!data->agreed) return URD_OK;
    sent.session_id = received.session_id = data->session_id;
    sent.end = received.end = end;
    bool complete = end == URD__V1__FILE_END__FILE_END_COMPLETE;

    URD_MASK(m);
    urd_mask(cx, m);
    urd_err err = client_request_init(cx, &request);
    request.message.body_case = sending ? URD__V1__REQUEST__BODY_FILE_OFFER_FINISH
                                        : URD__V1__REQUEST__BODY_FILE_OPEN_FINISH;
    if (sending)
        request.message.file_offer_finish = &sent;
    else
        request.message.file_open_finish = &received;
    if (err == URD_OK)
        err = finish_once(cx, client, node, &request,
                          urd_cx_now(cx) + (complete ? FINISH_NS : FAREWELL_NS), errmsg);
    urd_unmask(cx, m);
    return err;
}

/* ---- what it came to ----------------------------------------------------------------------------
 */

void client_data_result(const struct urd_fountain_stats *stats, bool finished,
                        struct urd_file_result *ret)
{
    ret->bytes = stats->bytes;
    ret->datagrams = stats->datagrams;
    ret->seconds = stats->seconds;
    ret->goodput_bps = stats->goodput_bps;
    ret->overhead = stats->overhead;
    ret->loss = stats->loss;
    if (finished)
        (void)sodium_bin2hex(ret->digest, sizeof ret->digest, stats->digest, sizeof stats->digest);
}

void client_file_tell(void *arg, const struct urd_fountain_progress *progress)
{
    const struct client_file_teller *teller = arg;
    if (teller->options->progress == NULL) return;
    struct urd_file_progress told = { .node = teller->node,
                                      .bytes = progress->bytes,
                                      .bytes_total = progress->bytes_total,
                                      .rate_bps = progress->rate_bps,
                                      .loss = progress->loss,
                                      .eta_ns = progress->eta_ns };
    teller->options->progress(teller->options->arg, &told);
}
