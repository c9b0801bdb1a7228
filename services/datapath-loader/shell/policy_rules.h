// Policy rules of the process's network namespace ("ip rule"), asked of the kernel by rtnetlink each
// time. Blocks for as long as the kernel takes to list them; any thread.
#pragma once

namespace portolan::datapath {

// Do rules other than those that a kernel starts with (local, main, default) choose routes? True
// also when the kernel does not say.
bool HasPolicyRules();

}  // namespace portolan::datapath
