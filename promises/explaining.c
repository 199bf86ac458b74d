/* Why a promise stands as it does: each part of its condition with its value, what would mend it, what runs then. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "promises/engine.h"

#define PARTS_MAX 500
#define OUTPUT_SHOWN 200 /* bytes of what an action wrote */
#define BRANCHES_MAX 20 /* instances shown of one quantifier */

static struct promise_part *part_add(struct promise_explanation *x)
{
	struct promise_part *parts;

	if (!(x->n_parts & (x->n_parts - 1))) { /* room for 1, 2, 4, … */
		parts = realloc(x->parts, (x->n_parts ? x->n_parts * 2 : 1) * sizeof(*parts));
		if (!parts)
			return NULL;
		x->parts = parts;
	}
	x->parts[x->n_parts] = (struct promise_part){ 0 };
	return &x->parts[x->n_parts++];
}

static bool shown(const struct node *n)
{
	/* Literals explain themselves. */
	return n->e->kind != EXPR_NUMBER && n->e->kind != EXPR_STRING;
}

static int explain_node(struct promise_explanation *x, const struct node *n, unsigned depth);

/* Instances that fail first, then those that are unknown, then the rest */
static int explain_branches(struct promise_explanation *x, const struct node *n, unsigned depth)
{
	static const uint8_t order[] = { KITH_BROKEN, KITH_UNKNOWN, KITH_KEPT };
	unsigned left = BRANCHES_MAX;

	for (unsigned i = 0; i < KITH_COUNT(order); i++)
		for (const struct tree *t = n->quantifier->trees; t && left; t = t->next) {
			if (t->nodes[0].truth != order[i])
				continue;
			left--;
			if (explain_node(x, &t->nodes[0], depth) < 0)
				return -ENOMEM;
		}
	return 0;
}

/* What a comparison by size has to spare, or lacks */
static int explain_distance(struct promise_part *part, const struct node *n)
{
	struct buf b = BUF_INIT;

	if (!n->attends || !n->truth || isnan(n->kids[0].number) || isnan(n->kids[1].number))
		return 0;
	part->threshold = n->kids[1].number;
	part->distance = fabs(n->kids[0].number - n->kids[1].number);
	word_number(&b, part->distance, n->e->items[0]->unit);
	buf_puts(&b, n->truth == KITH_KEPT ? " to spare" : " short");
	part->away = buf_take(&b);
	return part->away ? 0 : -ENOMEM;
}

static int explain_series(struct promise_part *part, const struct node *n)
{
	char name[NAME_MAX_LENGTH + 1];

	if ((n->e->kind != EXPR_NAME && n->e->kind != EXPR_CALL) || !n->leaf || !n->leaf->series)
		return 0;
	part->series = strdup(series_name(n->leaf->series, name));
	return part->series ? 0 : -ENOMEM;
}

static int explain_node(struct promise_explanation *x, const struct node *n, unsigned depth)
{
	struct buf text = BUF_INIT, value = BUF_INIT;
	struct promise_part *part;

	if (!shown(n) || x->n_parts >= PARTS_MAX)
		return 0;
	part = part_add(x);
	if (!part)
		return -ENOMEM;
	part->depth = depth;
	part->condition = n->e->type == TYPE_TRUTH;
	part->holds = part->condition ? (enum kith_assessment)n->truth : KITH_UNKNOWN;
	word_expr(&text, n->e, n->tree);
	word_value(&value, n);
	if (!strcmp(buf_text(&value), "unknown")) {
		buf_puts(&value, " (");
		word_unknown(&value, n);
		buf_putc(&value, ')');
	}
	part->text = buf_take(&text);
	part->value = buf_take(&value);
	if (!part->text || !part->value || explain_distance(part, n) < 0 || explain_series(part, n) < 0)
		return -ENOMEM;
	if (n->e->kind == EXPR_QUANTIFIER)
		return explain_branches(x, n, depth + 1);
	for (unsigned i = 0; i < n->n_kids; i++)
		if (explain_node(x, &n->kids[i], depth + 1) < 0)
			return -ENOMEM;
	return 0;
}

static void explain_pending(struct buf *b, const struct promise *pr, int64_t now)
{
	bool breaks = pr->truth == KITH_BROKEN;

	if (!pr->pending)
		return;
	buf_puts(b, breaks ? "breaks in " : "kept again in ");
	word_duration(b, pr->pending > now ? pr->pending - now : 0);
	buf_puts(b, breaks ? " unless it holds again" : " if it holds on");
}

static void explain_action(struct buf *b, const struct action_state *s)
{
	const struct action *a = s->action;
	char text[CLOCK_TEXT_MAX];

	if (b->length)
		buf_putc(b, '\n');
	buf_printf(b, "on %s run", assessment_name(a->when));
	for (unsigned i = 0; i < a->n_args; i++)
		buf_printf(b, " \"%s\"", a->argv[i]);
	if (a->at_most) {
		buf_printf(b, " at most %u per ", a->at_most);
		word_duration(b, a->per);
	}
	buf_puts(b, " timeout ");
	word_duration(b, a->timeout);
	if (a->user)
		buf_printf(b, " as %s", a->user);
	if (s->running)
		buf_puts(b, "; running now");
	if (!s->last_time) {
		buf_puts(b, s->running ? "" : s->runs ? "; no result yet" : "; not run yet");
	} else {
		buf_printf(b, "; last at %s: ", clock_format(s->last_time, text, sizeof(text)));
		if (s->last_timed_out)
			buf_puts(b, "took longer than its timeout");
		else if (WIFEXITED(s->last_status))
			buf_printf(b, "exit status %d", WEXITSTATUS(s->last_status));
		else
			buf_printf(b, "killed by signal %d", WIFSIGNALED(s->last_status) ? WTERMSIG(s->last_status) : 0);
		if (s->last_output) {
			size_t n = strlen(s->last_output) < OUTPUT_SHOWN ? strlen(s->last_output) : OUTPUT_SHOWN;

			/* No half of a character */
			while (n && s->last_output[n] && (s->last_output[n] & 0xc0) == 0x80)
				n--;
			buf_printf(b, ", it said \"%.*s%s\"", (int)n, s->last_output, s->last_output[n] ? "…" : "");
		}
		buf_printf(b, ", %llu runs, %llu failures", (unsigned long long)s->runs, (unsigned long long)s->failures);
	}
	if (s->held_back)
		buf_printf(b, "; %u held back by the limit", s->held_back);
}

static char *take_text(struct buf *b)
{
	if (!b->data && !b->failed)
		buf_puts(b, "");
	return b->data || b->failed ? buf_take(b) : strdup("");
}

int promises_explain(struct promises *p, size_t index, int64_t now, struct promise_explanation *ret_explanation)
{
	struct promise_explanation x = { 0 };
	struct buf mend = BUF_INIT, pending = BUF_INIT, actions = BUF_INIT, depends = BUF_INIT, attention = BUF_INIT;
	struct promise_info info;
	const struct promise *pr;
	int err = promises_get(p, index, &info);

	if (err < 0)
		return err;
	pr = p->index[index];
	err = explain_node(&x, &pr->tree->nodes[0], 0);
	word_mend(&mend, pr);
	explain_pending(&pending, pr, now);
	for (unsigned i = 0; i < pr->n_actions; i++)
		explain_action(&actions, &pr->actions[i]);
	x.mend = take_text(&mend);
	x.pending = take_text(&pending);
	x.actions = take_text(&actions);
	word_depends(&depends, pr);
	x.depends = take_text(&depends);
	word_attention(&attention, pr);
	x.attention = take_text(&attention);
	if (err < 0 || !x.mend || !x.pending || !x.actions || !x.depends || !x.attention) {
		promise_explanation_free(&x);
		return -ENOMEM;
	}
	*ret_explanation = x;
	return 0;
}

void promise_explanation_free(struct promise_explanation *e)
{
	for (size_t i = 0; i < e->n_parts; i++) {
		free(e->parts[i].text);
		free(e->parts[i].value);
		free(e->parts[i].series);
		free(e->parts[i].away);
	}
	free(e->parts);
	free(e->mend);
	free(e->pending);
	free(e->actions);
	free(e->depends);
	free(e->attention);
	*e = (struct promise_explanation){ 0 };
}
