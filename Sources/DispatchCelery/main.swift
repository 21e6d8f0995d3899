// hordelink-dispatch-celery: puts the tasks of one order into a Celery queue, each once.
//
// Started by hordelink-supervisor only, with the order on standard input (Messages/TaskOrder.swift).

import Glibc

exit(Program.run())
