/* runtime/obligation.h -- what must be settled exactly once, and how the compiler holds you to it.
 *
 * A permit, a region, a join, a mask is a *linear obligation*: whoever holds one settles it exactly
 * once on every path.  Two compilers reject code that does not:
 *
 *   clang, any -O      thread-safety analysis (-Wthread-safety -Werror): the gate in CI
 *   gcc, -DURD_PROVE   a shadow flag that only dead code may test, proved dead at -O2 (release
 * preset)
 *
 * Other builds (-O0, sanitizers) keep the same tests at run time and panic.  A token is declared by
 * its macro as an array of one, so it cannot be assigned or re-seated:
 *
 *     URD_PERMIT(p);
 *     if (!urd_channel_reserve(cx, channel, p, &err)) return err;   // nothing held on false
 *     urd_permit_send(p, &item);                                    // or urd_permit_abort(p)
 *
 * A helper that settles a token it is given is annotated URD_TAKES and begins with URD_ADOPT; one
 * that only looks is URD_NEEDS and begins with URD_BORROWED; hand a token over with URD_REL(p,
 * helper(p)).
 *
 * Limits: two elements of one array are conflated; correlated conditions (`if (k) reserve; if (k)
 * send`) are rejected: restructure; paths that end in a noreturn call are not checked. */
#ifndef RUNTIME_OBLIGATION_H
#define RUNTIME_OBLIGATION_H

#include <stdbool.h>

#if defined(__clang__)
#define URD_TSA(x) __attribute__((x))
#else
#define URD_TSA(x)
#endif

#define URD_KIND(name) URD_TSA(capability(name))
/* The callee hands a live obligation to the caller. */
#define URD_GIVES(t) URD_TSA(acquire_capability(*t))
/* The callee returns true with a live obligation, or false with none; the answer must be looked at.
 */
#define URD_MAYGIVE(t) URD_TSA(try_acquire_capability(1, *t)) __attribute__((warn_unused_result))
/* The callee settles it on every path. */
#define URD_TAKES(t) URD_TSA(release_capability(*t))
/* The callee borrows it. */
#define URD_NEEDS(t) URD_TSA(requires_capability(*t))
/* The audited escape hatch: the body of the function is trusted. */
#define URD_TRUSTED URD_TSA(no_thread_safety_analysis)

#if defined(URD_PROVE) && defined(__OPTIMIZE__) && !defined(__clang__) &&                          \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define URD_OB_ERROR(msg) __attribute__((error(msg), cold))
#else
#define URD_OB_ERROR(msg) __attribute__((cold))
#endif

/* Called only from code that must be dead; alive, they do not link (gcc, URD_PROVE) or panic. */
extern void urd_ob_leak_(void)
    URD_OB_ERROR("linear obligation may leave scope undischarged on some path");
extern void urd_ob_use_(void) URD_OB_ERROR(
    "linear obligation is not held here (double settle, use after settle, or unchecked try)");
extern void urd_ob_redo_(void) URD_OB_ERROR("linear obligation reserved while still held");

#define URD_INLINE static inline __attribute__((always_inline, unused))
URD_INLINE void urd_ob_scope_(const bool *held)
{
    if (*held) urd_ob_leak_();
}
URD_INLINE void urd_ob_need_(const bool *held)
{
    if (!*held) urd_ob_use_();
}
URD_INLINE void urd_ob_off_(bool *held)
{
    if (!*held) urd_ob_use_();
    *held = false;
}
URD_INLINE void urd_ob_free_(const bool *held)
{
    if (*held) urd_ob_redo_();
}

/* Declare token @t of @type; not yet held. */
#define URD_DECL(type, t)                                                                          \
    type t[1];                                                                                     \
    bool t##_ob_ __attribute__((cleanup(urd_ob_scope_))) = false
/* First line of a function that URD_TAKES(t). */
#define URD_ADOPT(t)                                                                               \
    bool t##_ob_ __attribute__((cleanup(urd_ob_scope_))) = true;                                   \
    (void)t
/* First line of a function that URD_NEEDS(t). */
#define URD_BORROWED(t) bool t##_ob_ __attribute__((unused)) = true
/* @call gives @t / settles @t / borrows @t. */
#define URD_ACQ(t, call)                                                                           \
    do {                                                                                           \
        urd_ob_free_(&t##_ob_);                                                                    \
        call;                                                                                      \
        t##_ob_ = true;                                                                            \
    } while (0)
#define URD_REL(t, call)                                                                           \
    do {                                                                                           \
        call;                                                                                      \
        urd_ob_off_(&t##_ob_);                                                                     \
    } while (0)
#define URD_USE(t, call) (urd_ob_need_(&t##_ob_), call)

#endif
