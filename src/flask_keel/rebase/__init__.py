"""`db rebase`: of two heads, one is put after the other, where a merge revision would join them."""
