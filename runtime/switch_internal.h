/* runtime/switch_internal.h -- leaving one stack for another. */
#ifndef RUNTIME_SWITCH_INTERNAL_H
#define RUNTIME_SWITCH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#ifdef URD_SWITCH_UCONTEXT
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define URD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define URD_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define URD_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define URD_TSAN 1
#endif
#endif

/* Where a stack was left, and what the sanitizers must know of it. */
struct urd_context {
    void *sp;
#ifdef URD_SWITCH_UCONTEXT
    ucontext_t ucontext;
    void (*entry)(void *arg);
    void *arg;
#endif
    const void *bottom; /* lowest address of the stack */
    size_t stack_bytes;
    void *fake_stack; /* AddressSanitizer's */
    void *fiber;      /* ThreadSanitizer's */
};

/* The context of the thread that calls: filled in when it is first left. */
void urd_context_of_thread(struct urd_context *context);

/* A context that runs @entry(@arg) on the stack [@bottom, @bottom + @stack_bytes) when first
 * switched to; @entry never returns.  @top, within the stack, is where it begins. */
void urd_context_make(struct urd_context *context, void *bottom, size_t stack_bytes, void *top,
                      void (*entry)(void *arg), void *arg);
/* Give back what the sanitizers keep of a context that will not be switched to again. */
void urd_context_done(struct urd_context *context);

/* Leave @from for @to; returns when someone switches back to @from.  Registers of the caller that
 * the ABI preserves are preserved; signal mask and floating-point modes are the thread's, not the
 * context's.  With @last, @from is never switched to again. */
void urd_context_switch(struct urd_context *from, struct urd_context *to, bool last);
/* The first thing @entry does. */
void urd_context_entered(void);

#endif
