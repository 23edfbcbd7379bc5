/* The console's commands: one table. */
#ifndef HV_COMMANDS_H
#define HV_COMMANDS_H

/* Run one line. It is cut into words in place. An empty line does nothing. */
void commands_run(char *line);

#endif
