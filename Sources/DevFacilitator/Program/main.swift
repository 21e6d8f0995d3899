// hordelink-dev-facilitator: the other end of the line, for the demo and the tests. Not for production: it keeps
// everything in memory, and its keys are known to everybody.

import DevFacilitator

DevFacilitatorCommand.main()
