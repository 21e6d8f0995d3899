/* hordelink-bench-exit: what a program costs that is started and does nothing. `make bench` compiles it: the C library
   alone, statically. The package manager would link Swift's runtime into it. */

int main(void) { return 0; }
