/** Oldest runtime specification that tsrun accepts. */
export const specVersionMin = '1.0.0';

/** Newest runtime specification that tsrun follows; what it writes itself says this version. */
export const specVersionMax = '1.3.0';
