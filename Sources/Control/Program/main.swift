// hordelinkctl: what an operator asks of a running hordelink, and the status that a person sends by hand.

import Control

runControl()
