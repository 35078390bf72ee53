import { testEnds } from './support/planner-ends.ts';

testEnds('create', 'start', 'delete', 'kill', 'state');
