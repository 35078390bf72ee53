import { testEnds } from './support/planner-ends.ts';

testEnds('run', 'exec');
