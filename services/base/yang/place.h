// Finds the line of a data path in the text that the data came from: libyang forgets it once a text
// is parsed, and what is wrong between entries is only known then.
#pragma once

#include <string>

namespace portolan::yang {

// Line, from 1, of the node at `path` (a Finding's) in a JSON text that Tree::Parse() accepts; of
// the entry around it when only the last step is not there. 0: not in this text, or not JSON.
// Linear in the text.
int LineOf(const std::string& text, const std::string& path);

}  // namespace portolan::yang
