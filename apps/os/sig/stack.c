/* SPDX-License-Identifier: MIT */
/* stack.c - the alternate stack of handlers. */
#include "sig/sig.h"

bool sig_on_alt_stack(uword sp)
{
	const struct sig_stack *s = &current->alt_stack;

	return !(s->flags & SS_DISABLE) && sp > s->sp && sp - s->sp <= s->size;
}

uword sig_handler_stack(uword sp, const struct sig_action *action)
{
	const struct sig_stack *s = &current->alt_stack;

	if ((action->flags & SA_ONSTACK) && !(s->flags & SS_DISABLE) && !sig_on_alt_stack(sp))
		return s->sp + s->size;
	return sp;
}
