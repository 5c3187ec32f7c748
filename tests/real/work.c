/* SPDX-License-Identifier: MIT */
/* Something for a compiler to work on: structures, loops, recursion, the C library's headers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *left, *right;
	unsigned key;
};

static struct node *insert(struct node *tree, unsigned key)
{
	if (!tree) {
		tree = calloc(1, sizeof(*tree));
		tree->key = key;
	} else if (key < tree->key) {
		tree->left = insert(tree->left, key);
	} else if (key > tree->key) {
		tree->right = insert(tree->right, key);
	}
	return tree;
}

static unsigned depth(const struct node *tree)
{
	unsigned left, right;

	if (!tree)
		return 0;
	left = depth(tree->left);
	right = depth(tree->right);
	return 1 + (left > right ? left : right);
}

static double series(int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += (i % 2 ? -1.0 : 1.0) / (2 * i + 1);
	return 4 * sum;
}

int main(void)
{
	struct node *tree = NULL;
	unsigned x = 1;
	char text[100];

	for (int i = 0; i < 10000; i++) {
		x = x * 1664525 + 1013904223;
		tree = insert(tree, x);
	}
	snprintf(text, sizeof(text), "depth %u, pi %.4f", depth(tree), series(100000));
	printf("%s, %zu\n", text, strlen(text));
	return 0;
}
