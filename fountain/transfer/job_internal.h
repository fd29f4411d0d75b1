/* fountain/transfer/job_internal.h -- work that a session has done by other tasks: reading,
 * hashing, encoding, decoding, writing.
 *
 * A session owns its state alone and does nothing slow itself; it hands jobs to a few workers of a
 * region that is not pinned, and finds them back, done, in its inbox. */
#ifndef FOUNTAIN_TRANSFER_JOB_INTERNAL_H
#define FOUNTAIN_TRANSFER_JOB_INTERNAL_H

#include "fountain/transfer/hub_internal.h"
#include "runtime/region.h"

#define URD_FOUNTAIN_JOBS_MAX 256u /* given and not yet found back */

struct urd_fountain_job {
    urd_err (*run)(struct urd_cx *cx, struct urd_fountain_job *job); /* on a worker; may block */
    void *owner;
    uint32_t kind; /* the owner's own */
    urd_err err;   /* what run returned */
};

struct urd_fountain_jobs {
    struct urd_channel *queue; /* of struct urd_fountain_job * */
    struct urd_channel *inbox;
    uint32_t open; /* given and not yet found back; the session's alone */
};

URD_MUST_USE urd_err urd_fountain_jobs_init(struct urd_fountain_jobs *jobs,
                                            struct urd_channel *inbox);
void urd_fountain_jobs_done(struct urd_fountain_jobs *jobs);
/* Start @workers workers in @scope. */
URD_MUST_USE urd_err urd_fountain_jobs_start(struct urd_cx *cx, struct urd_fountain_jobs *jobs,
                                             struct urd_scope *scope, unsigned workers);
/* Give a job to the workers; it must stay until it is found in the inbox.  The caller keeps the
 * number of open jobs below JOBS_MAX. */
void urd_fountain_jobs_give(struct urd_fountain_jobs *jobs, struct urd_fountain_job *job);

#endif
