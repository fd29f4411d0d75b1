#include "fountain/transfer/job_internal.h"

#include <assert.h>

urd_err urd_fountain_jobs_init(struct urd_fountain_jobs *jobs, struct urd_channel *inbox)
{
    *jobs = (struct urd_fountain_jobs){ .inbox = inbox };
    return urd_channel_new(sizeof(struct urd_fountain_job *), URD_FOUNTAIN_JOBS_MAX, &jobs->queue);
}

void urd_fountain_jobs_done(struct urd_fountain_jobs *jobs)
{
    urd_channel_free(jobs->queue);
    jobs->queue = NULL;
}

static urd_err worker(struct urd_cx *cx, void *arg)
{
    struct urd_fountain_jobs *jobs = arg;
    for (;;) {
        struct urd_fountain_job *job;
        urd_err err = urd_channel_receive(cx, jobs->queue, &job, URD_FOREVER);
        if (err != URD_OK) return err == URD_E_CLOSED ? URD_OK : err;
        job->err = job->run(cx, job);
        /* The session never waits for a worker, so there is room before long. */
        struct urd_fountain_inbox_item item = { .kind = URD_FOUNTAIN_INBOX_JOB, .ptr = job };
        err = urd_channel_send(cx, jobs->inbox, &item);
        if (err != URD_OK) return err;
    }
}

urd_err urd_fountain_jobs_start(struct urd_cx *cx, struct urd_fountain_jobs *jobs,
                                struct urd_scope *scope, unsigned workers)
{
    static const struct urd_spawn_options options = { .name = "transfer worker" };
    for (unsigned i = 0; i < workers; i++) {
        urd_err err = urd_spawn(cx, scope, &options, worker, jobs);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

void urd_fountain_jobs_give(struct urd_fountain_jobs *jobs, struct urd_fountain_job *job)
{
    assert(jobs->open < URD_FOUNTAIN_JOBS_MAX);
    jobs->open++;
    urd_err err = urd_channel_try_send(jobs->queue, &job);
    assert(err == URD_OK); /* as long as the queue is, and not closed before the region is */
}
