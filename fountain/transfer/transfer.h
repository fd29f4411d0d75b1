/* fountain/transfer/transfer.h -- move a stream of files to a peer over sealed UDP datagrams.
 *
 * The one public door.  How a transfer goes, and who does what:
 *
 *   caller  both sides make an offer (session.h) and cross them over RPC together with the manifest
 *   caller  sender calls urd_fountain_send(), receiver urd_fountain_receive(), each in a task
 *   here    everything else: challenge, digests, pacing, symbols, decoding, checking, writing
 *
 * Digests go from the sender's board to the receiver's in datagrams of the session; a caller may
 * move them over RPC as well (digests.h): what is on the receiver's board already is not sent.
 *
 * Either side may know the other's address, or both; one must.  The sender returns URD_OK when the
 * receiver says that everything is durable and under its name, the receiver when it has said so.
 * After an error or a cancel the same transfer goes on with a new session, from the blocks that the
 * sink's journal gives back. */
#ifndef FOUNTAIN_TRANSFER_TRANSFER_H
#define FOUNTAIN_TRANSFER_TRANSFER_H

#include "fountain/transfer/digests.h"
#include "fountain/transfer/hub.h"
#include "fountain/transfer/manifest.h"
#include "fountain/transfer/session.h"
#include "fountain/transfer/sink.h"
#include "fountain/transfer/source.h"
#include "runtime/net.h"
#include "runtime/region.h"

enum urd_fountain_rate_mode {
    URD_FOUNTAIN_RATE_FAIR,      /* shares with TCP */
    URD_FOUNTAIN_RATE_SCAVENGER, /* gives way to everything else */
    URD_FOUNTAIN_RATE_FIXED      /* rate_bps, whatever the path says */
};

struct urd_fountain_rate_options {
    enum urd_fountain_rate_mode mode;
    uint64_t rate_bps;  /* FIXED: bits/s on the wire, IP and UDP headers counted */
    uint64_t max_bps;   /* never more; 0: no limit */
    uint64_t start_bps; /* what this peer took last time (stats.path_bps); 0: not known */
};

struct urd_fountain_progress {
    uint64_t bytes, bytes_total; /* of the files: finished at the receiver */
    double rate_bps;             /* goodput of late, bits/s */
    double loss;                 /* of late, 0..1 */
    uint64_t eta_ns;             /* from now; URD_FOREVER: not known */
};
/* Called from the transfer's task about four times a second and at the end; must not block. */
typedef void (*urd_fountain_progress_fn)(void *arg, const struct urd_fountain_progress *progress);

struct urd_fountain_stats {
    uint64_t bytes;         /* of the files moved in this session */
    uint64_t datagrams;     /* data datagrams sent (sender) or received (receiver) */
    uint64_t symbols_spare; /* received, but not needed */
    double seconds;
    double goodput_bps; /* bytes * 8 / seconds */
    double overhead;    /* datagram bytes / file bytes - 1 */
    double loss;        /* 0..1 over the session */
    uint64_t path_bps;  /* the rate the path took at last: start_bps of the next transfer */
    uint64_t rtt_ns;    /* least seen; 0: never measured */
    uint8_t digest[URD_FOUNTAIN_DIGEST_LEN]; /* root digest; zeroes unless finished */
};

#define URD_FOUNTAIN_WINDOW_BYTES_DEFAULT (64u << 20)
#define URD_FOUNTAIN_IDLE_DEFAULT_NS      UINT64_C(60000000000)

struct urd_fountain_send_options {
    const struct urd_fountain_agreement *agreement; /* borrowed for the call, as all below */
    const struct urd_fountain_manifest *manifest;
    const struct urd_fountain_source *source;
    struct urd_fountain_digests *digests; /* filled here; what is preset is not hashed again */
    struct urd_address peer;              /* len 0: learnt from the receiver's datagrams */
    struct urd_fountain_rate_options rate;
    uint64_t window_bytes;             /* blocks held in memory, about; 0: default */
    uint64_t idle_ns;                  /* give up after this long without a report; 0: default */
    urd_fountain_progress_fn progress; /* may be NULL */
    void *progress_arg;
};

/* Send the stream of @options->manifest; @hub must be running.  Blocks until the receiver has it
 * all.  A cancel tells the receiver and leaves nothing behind.  @ret_stats (may be NULL) is written
 * in every case.
 * Errors: URD_E_CHANGED the source changed (URD_E_… of the source's read); URD_E_UNREACHABLE no
 * report for idle_ns; URD_E_CANCELLED; URD_E_TIMEOUT the cx's budget; what the receiver said
 * (URD_E_STORAGE_FULL, URD_E_CORRUPT …); URD_E_INVALID the peer breaks the protocol; URD_E_FULL the
 * hub has no room; URD_E_NOMEM.  @errmsg (may be NULL): a sentence. */
URD_MUST_USE urd_err urd_fountain_send(struct urd_cx *cx, struct urd_fountain_hub *hub,
                                       const struct urd_fountain_send_options *options,
                                       struct urd_fountain_stats *ret_stats, char *errmsg,
                                       size_t errmsg_len);

struct urd_fountain_receive_options {
    const struct urd_fountain_agreement *agreement; /* borrowed for the call, as all below */
    const struct urd_fountain_manifest *manifest;
    const struct urd_fountain_sink *sink;
    struct urd_fountain_digests *digests;         /* a new board; filled here, by the caller too */
    const struct urd_fountain_finished *finished; /* what the journal of an earlier session holds */
    uint32_t finished_count;
    struct urd_address peer;           /* len 0: learnt from the sender's datagrams */
    uint64_t window_bytes;             /* decoders held in memory; 0: default */
    uint64_t idle_ns;                  /* give up after this long without a datagram; 0: default */
    urd_fountain_progress_fn progress; /* may be NULL */
    void *progress_arg;
};

/* Receive the stream of @options->manifest into the sink; @hub must be running.  Blocks until it is
 * all in place.  Memory: window_bytes (at least two blocks, at most 128 blocks) of decoders, one
 * for each unfinished block that symbols came for, and 64 bytes a block of the stream.
 * Errors: URD_E_CORRUPT a block did not match its digest three times, or the root digest does not;
 * URD_E_… of the sink; URD_E_UNREACHABLE nothing came for idle_ns; what the sender said
 * (URD_E_CHANGED …); URD_E_CANCELLED; URD_E_TIMEOUT; URD_E_FULL; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_receive(struct urd_cx *cx, struct urd_fountain_hub *hub,
                                          const struct urd_fountain_receive_options *options,
                                          struct urd_fountain_stats *ret_stats, char *errmsg,
                                          size_t errmsg_len);

#endif
