// hordelink-demo-worker: a job's command for the demo. Runs the job's `args` and reports each step on its socket.

import DemoWorker
import Glibc

exit(runDemoWorker())
