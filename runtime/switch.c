/* A switch saves what the ABI makes the callee save and the stack pointer, loads the other's, and
 * jumps to where the other was left.  It jumps rather than returns: a `ret` would be predicted to
 * the caller of this switch, wrongly every time.
 *
 * On a new stack lies a frame as a switch would have left it, whose return goes to
 * urd_switch_begin_(): that calls the entry, and has no return address of its own (0), where
 * debuggers and unwinders stop. */
#include "runtime/switch_internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#ifdef URD_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef URD_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(URD_SWITCH_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#error "no switch for this processor: configure with -DURD_SWITCH=ucontext"
#endif

#ifndef URD_SWITCH_UCONTEXT

void urd_switch_(void **save_sp, void *load_sp);
void urd_switch_begin_(void);

#if defined(__x86_64__)
#define FRAME_WORDS 8 /* r15 r14 r13 r12 rbx rbp, where to go on, return address of that */
#define FRAME_ARG   3 /* r12 */
#define FRAME_ENTRY 2 /* r13 */
#define FRAME_GO_ON 6
__asm__(".text\n"
        ".p2align 4\n"
        ".globl urd_switch_\n"
        ".hidden urd_switch_\n"
        ".type urd_switch_, @function\n"
        "urd_switch_:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset rbp, 0\n"
        "    pushq %rbx\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset rbx, 0\n"
        "    pushq %r12\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset r12, 0\n"
        "    pushq %r13\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset r13, 0\n"
        "    pushq %r14\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset r14, 0\n"
        "    pushq %r15\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset r15, 0\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore r15\n"
        "    popq %r14\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore r14\n"
        "    popq %r13\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore r13\n"
        "    popq %r12\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore r12\n"
        "    popq %rbx\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore rbx\n"
        "    popq %rbp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore rbp\n"
        "    popq %r8\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_register rip, r8\n"
        "    notrack jmp *%r8\n"
        "    .cfi_endproc\n"
        ".size urd_switch_, . - urd_switch_\n"
        ".p2align 4\n"
        ".globl urd_switch_begin_\n"
        ".hidden urd_switch_begin_\n"
        ".type urd_switch_begin_, @function\n"
        "urd_switch_begin_:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined rip\n"
        "    endbr64\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    movq %r12, %rdi\n"
        "    call *%r13\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size urd_switch_begin_, . - urd_switch_begin_\n");
#else
#define FRAME_WORDS 22 /* d8-d15, x19-x28, x29, x30, and two to keep 16-byte alignment */
#define FRAME_ARG   8  /* x19 */
#define FRAME_ENTRY 9  /* x20 */
#define FRAME_GO_ON 19 /* x30 */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl urd_switch_\n"
        ".hidden urd_switch_\n"
        ".type urd_switch_, %function\n"
        "urd_switch_:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #176\n"
        "    .cfi_adjust_cfa_offset 176\n"
        "    stp d8, d9, [sp, #0]\n"
        "    stp d10, d11, [sp, #16]\n"
        "    stp d12, d13, [sp, #32]\n"
        "    stp d14, d15, [sp, #48]\n"
        "    stp x19, x20, [sp, #64]\n"
        "    stp x21, x22, [sp, #80]\n"
        "    stp x23, x24, [sp, #96]\n"
        "    stp x25, x26, [sp, #112]\n"
        "    stp x27, x28, [sp, #128]\n"
        "    stp x29, x30, [sp, #144]\n"
        "    .cfi_rel_offset x19, 64\n"
        "    .cfi_rel_offset x20, 72\n"
        "    .cfi_rel_offset x21, 80\n"
        "    .cfi_rel_offset x22, 88\n"
        "    .cfi_rel_offset x23, 96\n"
        "    .cfi_rel_offset x24, 104\n"
        "    .cfi_rel_offset x25, 112\n"
        "    .cfi_rel_offset x26, 120\n"
        "    .cfi_rel_offset x27, 128\n"
        "    .cfi_rel_offset x28, 136\n"
        "    .cfi_rel_offset x29, 144\n"
        "    .cfi_rel_offset x30, 152\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp d8, d9, [sp, #0]\n"
        "    ldp d10, d11, [sp, #16]\n"
        "    ldp d12, d13, [sp, #32]\n"
        "    ldp d14, d15, [sp, #48]\n"
        "    ldp x19, x20, [sp, #64]\n"
        "    ldp x21, x22, [sp, #80]\n"
        "    ldp x23, x24, [sp, #96]\n"
        "    ldp x25, x26, [sp, #112]\n"
        "    ldp x27, x28, [sp, #128]\n"
        "    ldp x29, x30, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    .cfi_adjust_cfa_offset -176\n"
        "    mov x16, x30\n"
        "    br x16\n"
        "    .cfi_endproc\n"
        ".size urd_switch_, . - urd_switch_\n"
        ".p2align 4\n"
        ".globl urd_switch_begin_\n"
        ".hidden urd_switch_begin_\n"
        ".type urd_switch_begin_, %function\n"
        "urd_switch_begin_:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n"
        "    hint #34\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, x19\n"
        "    blr x20\n"
        "    brk #1\n"
        "    .cfi_endproc\n"
        ".size urd_switch_begin_, . - urd_switch_begin_\n");
#endif

static void make(struct urd_context *context, void *top, void (*entry)(void *arg), void *arg)
{
    uintptr_t *frame = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15) - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[FRAME_ARG] = (uintptr_t)arg;
    frame[FRAME_ENTRY] = (uintptr_t)entry;
    frame[FRAME_GO_ON] = (uintptr_t)urd_switch_begin_;
    context->sp = frame;
}

static inline __attribute__((always_inline)) void jump(struct urd_context *from,
                                                       struct urd_context *to)
{
    urd_switch_(&from->sp, to->sp);
}

#else /* the C library's, where no switch is written for the processor */

static void begin(unsigned high, unsigned low)
{
    struct urd_context *context =
        (struct urd_context *)(((uintptr_t)high << 16 << 16) | (uintptr_t)low);
    context->entry(context->arg);
}

static void make(struct urd_context *context, void *top, void (*entry)(void *arg), void *arg)
{
    uintptr_t self = (uintptr_t)context;
    (void)getcontext(&context->ucontext);
    context->ucontext.uc_stack.ss_sp = (void *)(uintptr_t)context->bottom;
    context->ucontext.uc_stack.ss_size = (size_t)((char *)top - (const char *)context->bottom);
    context->ucontext.uc_link = NULL;
    context->entry = entry;
    context->arg = arg;
    makecontext(&context->ucontext, (void (*)(void))begin, 2, (unsigned)(self >> 16 >> 16),
                (unsigned)self);
}

static inline __attribute__((always_inline)) void jump(struct urd_context *from,
                                                       struct urd_context *to)
{
    int rc = swapcontext(&from->ucontext, &to->ucontext);
    assert(rc == 0);
}

#endif

void urd_context_of_thread(struct urd_context *context)
{
    memset(context, 0, sizeof *context);
    pthread_attr_t attr;
    void *bottom;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        if (pthread_attr_getstack(&attr, &bottom, &context->stack_bytes) == 0)
            context->bottom = bottom;
        (void)pthread_attr_destroy(&attr);
    }
#ifdef URD_TSAN
    context->fiber = __tsan_get_current_fiber();
#endif
}

void urd_context_make(struct urd_context *context, void *bottom, size_t stack_bytes, void *top,
                      void (*entry)(void *arg), void *arg)
{
    memset(context, 0, sizeof *context);
    context->bottom = bottom;
    context->stack_bytes = stack_bytes;
#ifdef URD_TSAN
    context->fiber = __tsan_create_fiber(0);
#endif
    make(context, top, entry, arg);
}

void urd_context_done(struct urd_context *context)
{
#ifdef URD_TSAN
    __tsan_destroy_fiber(context->fiber);
#endif
    context->fiber = NULL;
}

__attribute__((noinline)) void urd_context_switch(struct urd_context *from, struct urd_context *to,
                                                  bool last)
{
    (void)last;
#ifdef URD_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->bottom, to->stack_bytes);
#endif
#ifdef URD_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    jump(from, to);
#ifdef URD_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

void urd_context_entered(void)
{
#ifdef URD_ASAN
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}
