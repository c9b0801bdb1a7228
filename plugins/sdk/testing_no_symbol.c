/* A shared object that is not a plugin, for tests of the loader. */
int portolan_not_a_plugin(void) { return 0; }
