/* saga/machine_internal.h -- what the files of the machine share. */
#ifndef SAGA_MACHINE_INTERNAL_H
#define SAGA_MACHINE_INTERNAL_H

#include "saga/machine.h"

/* Apply the Accepted record to an empty saga. */
urd_err saga_begin(struct saga *saga, const struct saga_record *record, char *errmsg,
                   size_t errmsg_len);

void saga_signal_free(struct saga_signal *signal);

#endif
